"""Fits and records that travel over a network: from a web server's folders, and through S3 as moto plays it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from harness.cli.main import main
from harness.workflow.pages import linked
from harness.workflow.store import remedy
from tests.records import record_of, write
from tests.unit.test_share import BOTTLE, KEY, PLAN, files, fit


@pytest.fixture
def there(tmp_path, monkeypatch):
    """A folder `there` where a fit and a record were measured; the current folder has nothing else."""
    monkeypatch.chdir(tmp_path)
    fit(KEY)
    write(record_of(PLAN, BOTTLE, 0.4), Path("work/records"))
    Path("work").rename("there")
    return tmp_path


@contextmanager
def measured():
    """Inside, what was measured lies in the current folder."""
    Path("there").rename("work")
    yield
    Path("work").rename("there")


def one_line(capsys) -> str:
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


class Listed(SimpleHTTPRequestHandler):
    """Lists folders as Apache does: with links that sort the list, one to the folder above, and one elsewhere."""

    def list_directory(self, path):
        links = ["?C=N;O=D", "?C=M;O=A", Path(self.path).parent.as_posix(), "https://example.org/x"]
        links += [f"{entry.name}/" if entry.is_dir() else entry.name for entry in Path(path).iterdir()]
        page = "".join(f'<tr><td><a href="{link}">{link}</a></td></tr>' for link in links)
        self.send_response(200)
        self.send_header("Content-Type", "text/html;charset=UTF-8")
        self.end_headers()
        self.wfile.write(page.encode())

    def do_GET(self):
        if "/secret" in self.path:
            self.send_error(403)
        elif "/endless" in self.path:
            self.path = "/endless/"
            self.list_directory("endless")
        else:
            super().do_GET()

    def log_message(self, *words):
        pass


@contextmanager
def served(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Plain(SimpleHTTPRequestHandler):
    """Python's own server: python -m http.server."""

    def log_message(self, *words):
        pass


@pytest.mark.parametrize(("handler", "place"), [(Plain, "/pub/store"), (Listed, ""), (Listed, "/store/")])
def test_what_was_pushed_to_a_folder_is_pulled_from_its_web_server(there, capsys, handler, place):
    with measured():
        assert main(["push", f".{place}"]) == 0
    with served(handler) as address:
        assert main(["pull", f"{address}{place}"]) == 0
        assert main(["pull", f"{address}{place}"]) == 0
    out = capsys.readouterr().out
    assert "1 fit pulled, 1 record pulled;" in out
    assert "1 fit here already, 1 record here already;" in out
    assert files("work") == files("there")


def test_a_web_servers_faults_are_one_line_each(there, capsys):
    with served(Listed) as address:
        assert main(["pull", f"{address}/nowhere"]) == 2
        assert "/nowhere: holds no fits and no records; mend the address, or push" in one_line(capsys)
        assert main(["pull", f"{address}/secret"]) == 2
        assert "/secret: cannot be used (the server says 403 Forbidden);" in one_line(capsys)
        Path("endless/endless").mkdir(parents=True)
        assert main(["pull", f"{address}/endless"]) == 2
        assert "holds no fits and no records" in one_line(capsys)
        assert main(["push", f"{address}/store"]) == 2
        assert "/store: can only be read; push to a folder, or" in one_line(capsys)
    assert main(["pull", f"{address}/store"]) == 2
    assert "cannot be used (no connection); mend the address, or check the network" in one_line(capsys)
    assert not Path("work").exists()


def test_an_empty_or_mistyped_folder_is_no_success(there, capsys):
    assert main(["pull", "sotre"]) == 2
    assert one_line(capsys) == "error: sotre: holds no fits and no records; mend the address, or push to it first\n"


def test_only_names_in_a_folder_are_taken_from_its_page():
    links = [
        "a.json",
        "b/",
        "./c",
        "/x/d",
        "d/e",
        "../up",
        "/",
        "?C=N",
        "f?v=1",
        "//example.org/x/g",
        "#h",
        "/x/",
        "...",
    ]
    page = "".join(f"<A HREF='{link}'>" for link in links) + "<a name=i><img src=j>"
    assert linked(page, "http://host/x/") == ["...", "a.json", "b/", "c", "d"]


class NoCredentialsError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImportError("Install s3fs to access S3"), "run: pip install s3fs"),
        (ImportError("No module named 'x'"), "install what it names"),
        (NoCredentialsError("none found"), "AWS_ACCESS_KEY_ID"),
        (PermissionError("Access Denied"), "ask for the rights"),
        (ConnectionRefusedError("no"), "check the network"),
        (OSError("?"), "mend the address or the rights"),
    ],
)
def test_the_remedy_fits_the_error(error, words):
    assert words in remedy(error, str(error))


@pytest.fixture
def s3(monkeypatch):
    """A server that speaks S3, with one bucket; the address of nothing outside is asked."""
    reason = "no s3fs and no moto; pip install s3fs 'moto[server]'"
    pytest.importorskip("s3fs", reason=reason)
    moto = pytest.importorskip("moto.server", reason=reason)
    import botocore.session
    import s3fs

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = botocore.session.get_session().create_client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="bucket")
    s3fs.S3FileSystem.clear_instance_cache()
    yield client
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_what_is_pushed_to_s3_is_pulled_from_it(there, s3, capsys):
    with measured():
        assert main(["push", "s3://bucket/cavga"]) == 0
        assert main(["push", "s3://bucket/cavga", "--replace"]) == 0
    assert main(["pull", "s3://bucket/cavga"]) == 0
    out = capsys.readouterr().out
    assert out.count("1 fit pushed, 1 record pushed;") == 1
    assert "1 fit pushed, 1 record there already;" in out
    assert "1 fit pulled, 1 record pulled;" in out
    assert files("work") == files("there")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="bucket")["Contents"]]
    assert all(key.startswith(("cavga/fits/", "cavga/records/")) and not key.endswith(".tmp") for key in keys)
    s3.put_object(Bucket="bucket", Key=f"cavga/fits/{KEY}/maps.npz", Body=b"other")
    Path("work").rename("again")
    assert main(["pull", "s3://bucket/cavga"]) == 1
    assert f"fits/{KEY}/maps.npz: is not what was pushed" in one_line(capsys)


def test_s3s_faults_are_one_line_each_and_make_no_bucket(there, s3, capsys, monkeypatch):
    with measured():
        assert main(["push", "s3://buckte/cavga"]) == 2
    assert "s3://buckte/cavga: there is no bucket 'buckte'; create it, or mend its name" in one_line(capsys)
    assert [entry["Name"] for entry in s3.list_buckets()["Buckets"]] == ["bucket"]
    assert main(["pull", "s3://buckte/cavga"]) == 2
    assert "holds no fits and no records; mend the address" in one_line(capsys)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    assert main(["pull", "s3://bucket/cavga"]) == 2
    assert "AWS_ACCESS_KEY_ID" in one_line(capsys)
