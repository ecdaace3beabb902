"""A standalone Connect worker copies a file to a topic, and the topic to a file.

  standalone.py BOOTSTRAP JARS
"""

import pathlib
import sys

from worker import Worker, folder, run_id, until

bootstrap, jars = sys.argv[1:]
run = run_id()
with folder() as here:
    here = pathlib.Path(here)
    source, sink = here / "test.txt", here / "test.sink.txt"
    source.write_text("foo\nbar\n")
    (here / "source.properties").write_text(
        "name=local-file-source\nconnector.class=FileStreamSource\ntasks.max=1\n"
        f"file={source}\ntopic=connect-test-{run}\n")
    (here / "sink.properties").write_text(
        "name=local-file-sink\nconnector.class=FileStreamSink\ntasks.max=1\n"
        f"file={sink}\ntopics=connect-test-{run}\n")
    properties = [
        f"bootstrap.servers={bootstrap}",
        "key.converter=org.apache.kafka.connect.json.JsonConverter",
        "value.converter=org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable=true", "value.converter.schemas.enable=true",
        f"offset.storage.file.filename={here / 'connect.offsets'}",
        "offset.flush.interval.ms=500", "plugin.discovery=service_load", f"plugin.path={jars}",
    ]
    files = [here / "source.properties", here / "sink.properties"]

    def copied(text):
        return lambda: sink.exists() and sink.read_text() == text

    with Worker("Standalone", here, jars, properties, files) as worker:
        worker.wait_ready()
        until("both lines are copied", copied("foo\nbar\n"))
        with source.open("a") as lines:
            lines.write("baz\n")
        until("the third is", copied("foo\nbar\nbaz\n"))
    # It goes on where it was: the source by its file of offsets, the sink by its group's.
    with source.open("a") as lines:
        lines.write("qux\n")
    with Worker("Standalone", here, jars, properties, files) as worker:
        worker.wait_ready()
        until("only what is new is copied", copied("foo\nbar\nbaz\nqux\n"))
print("done")
