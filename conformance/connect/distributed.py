"""Distributed Connect workers, by the lines of the notes that this project is held to: a worker file,
and curl's requests for connectors. Then a second worker joins, and the first one ends.

  distributed.py BOOTSTRAP JARS
"""

import pathlib
import sys

from worker import Worker, folder, run_id, until

bootstrap, jars = sys.argv[1:]
run = run_id()
with folder() as here:
    here = pathlib.Path(here)
    source, sink = here / "customers.txt", here / "test.sink.txt"
    properties = [
        f"bootstrap.servers={bootstrap}", f"group.id=connect-{run}",
        f"config.storage.topic=connect-config-{run}", f"offset.storage.topic=connect-offset-{run}",
        f"status.storage.topic=connect-status-{run}",
        "key.converter=org.apache.kafka.connect.storage.StringConverter",
        "value.converter=org.apache.kafka.connect.storage.StringConverter",
        # One node: the notes have three. And not as long to wait for a worker that is gone.
        "config.storage.replication.factor=1", "offset.storage.replication.factor=1",
        "status.storage.replication.factor=1", "offset.flush.interval.ms=500",
        "scheduled.rebalance.max.delay.ms=1000", "session.timeout.ms=6000",
        "heartbeat.interval.ms=1000", "plugin.discovery=service_load", f"plugin.path={jars}",
    ]
    topic = f"customers-{run}"
    source_config = {"connector.class": "FileStreamSource", "tasks.max": "1", "file": str(source),
                     "topic": topic}
    sink_config = {"topics": topic, "file": str(sink), "consumer.override.auto.offset.reset": "earliest",
                   "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector"}

    def copied(text):
        return lambda: sink.exists() and sorted(sink.read_text().split("\n")) == sorted(text.split("\n"))

    running = ("RUNNING", ["RUNNING"])
    with Worker("Distributed", here, jars, properties) as first:
        until("it is ready", lambda: first.says("Finished starting connectors and tasks"))
        first.wait_ready()
        assert first.ask("GET", "/connectors") == []
        name = "customers-source"
        made = first.ask("POST", "/connectors", {"name": name, "config": source_config})
        assert made["name"] == name, made
        assert first.ask("POST", "/connectors", {"name": name, "config": source_config}) == 409
        assert first.ask("GET", "/connectors") == [name]
        until("the source runs", lambda: first.state(name) == running)
        source.write_text("Irving\nHelly R.\n")
        first.ask("POST", "/connectors", {"name": "Shakespeare-Sink", "config": sink_config})
        until("the sink runs", lambda: first.state("Shakespeare-Sink") == running)
        until("both lines are copied", copied("Irving\nHelly R.\n"))
        first.ask("PUT", f"/connectors/{name}/pause")
        until("the source pauses", lambda: first.state(name) == ("PAUSED", ["PAUSED"]))
        with source.open("a") as lines:
            lines.write("Dylan\n")
        first.ask("PUT", f"/connectors/{name}/resume")
        until("the source runs again", lambda: first.state(name) == running)
        until("the third is copied", copied("Irving\nHelly R.\nDylan\n"))
        assert first.ask("GET", f"/connectors/{name}/topics")[name]["topics"] == [topic]
        offsets = until("its offset is stored",
                        lambda: first.ask("GET", f"/connectors/{name}/offsets")["offsets"])
        assert offsets[0]["offset"]["position"] > 0, offsets
        assert first.ask("GET", "/connectors/nobody/status") == 404
        with Worker("Distributed", here, jars, properties) as second:
            second.wait_ready()
            until("it knows the connectors", lambda: len(second.ask("GET", "/connectors") or []) == 2)
            first.process.terminate()
            first.process.wait(60)
            until("the other runs them", lambda: all(
                second.state(n) == running for n in (name, "Shakespeare-Sink")))
            with source.open("a") as lines:
                lines.write("Mark S.\n")
            until("it copies on", copied("Irving\nHelly R.\nDylan\nMark S.\n"))
            for connector in (name, "Shakespeare-Sink"):
                assert second.ask("DELETE", f"/connectors/{connector}") is None
            until("both are gone", lambda: second.ask("GET", "/connectors") == [])
print("done")
