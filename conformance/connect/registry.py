"""A schema registry (Apicurio) that keeps its schemas in a topic, asked by Confluent's REST interface,
and again after it has started anew: then all it knows is what the topic says.

  registry.py BOOTSTRAP FOLDER
"""

import glob
import json
import pathlib
import sys

from worker import Process, Worker, folder, free_port, run_id, until

bootstrap, home = sys.argv[1:]
run = run_id()
SCHEMA = json.dumps({"type": "record", "name": "year", "fields": [
    {"name": "name", "type": "string"}, {"name": "year", "type": "int"}]})


class Registry(Worker):
    """Its REST interface is asked as a worker's is."""

    def __init__(self, here):
        self.port = free_port()
        (runner,) = glob.glob(f"{home}/apicurio-registry-app-*-runner.jar")
        options = {
            "apicurio.storage.kind": "kafkasql", "apicurio.kafkasql.bootstrap.servers": bootstrap,
            "apicurio.kafkasql.topic": f"registry-{run}", "quarkus.http.host": "127.0.0.1",
            "apicurio.kafkasql.snapshots.topic": f"registry-snapshots-{run}",
            "apicurio.events.kafka.topic": f"registry-events-{run}", "quarkus.http.port": self.port,
        }
        flags = [f"-D{key}={value}" for key, value in options.items()]
        command = ["java", "-Xmx512m", *flags, "-jar", runner]
        Process.__init__(self, command, pathlib.Path(here) / f"{self.port}.log", here)

    def wait_ready(self):
        until("the registry serves", lambda: isinstance(self.subjects(), list))

    def subjects(self):
        return self.ask("GET", "/apis/ccompat/v7/subjects")


with folder() as here:
    with Registry(here) as registry:
        registry.wait_ready()
        assert registry.subjects() == []
        path = "/apis/ccompat/v7/subjects/years-value/versions"
        made = until("a schema is stored", lambda: registry.ask("POST", path, {"schema": SCHEMA}))
        assert registry.subjects() == ["years-value"]
    with Registry(here) as registry:
        registry.wait_ready()
        until("it has read its topic", lambda: registry.subjects() == ["years-value"])
        stored = registry.ask("GET", f"/apis/ccompat/v7/schemas/ids/{made['id']}")
        assert json.loads(stored["schema"]) == json.loads(SCHEMA), stored
print("done")
