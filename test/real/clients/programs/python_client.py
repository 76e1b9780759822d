"""Python's HTTP clients, one request after the other. Arguments: which (urllib, http.client, pipeline, requests, httpx), port."""

import http.client
import itertools
import socket
import sys
import urllib.request

which, port = sys.argv[1], int(sys.argv[2])
base = f"http://127.0.0.1:{port}"
data = bytes(range(256)) * 8192


def pieces():
    return (data[at : at + 10_000] for at in range(0, len(data), 10_000))


def with_urllib():
    for request in (
        urllib.request.Request(f"{base}/get?q=1"),
        urllib.request.Request(f"{base}/post", data=data),
        urllib.request.Request(f"{base}/put", data=b"x" * 10, method="PUT", headers={"X-CaSe": "kept"}),
        urllib.request.Request(f"{base}/head", method="HEAD"),
    ):
        with urllib.request.urlopen(request) as response:
            print(response.status, response.getheaders(), response.read().decode())


def with_http_client():
    connection = http.client.HTTPConnection("127.0.0.1", port)
    bodies = ("GET", None), ("POST", data), ("POST", pieces()), ("HEAD", None), ("DELETE", None)
    for method, body in bodies:
        connection.request(method, "/one-connection", body=body, encode_chunked=not isinstance(body, (bytes, type(None))))
        response = connection.getresponse()
        print(response.status, response.getheaders(), response.read().decode(), connection.sock is not None)


def with_pipeline():
    """Two hundred requests in one write, with and without bodies; then all the answers."""
    requests = b"".join(
        b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % n if n % 3 else b"POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (n, n, b"b" * n)
        for n in range(200)
    )
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(requests)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    print(answer.decode())


def with_requests():
    import requests

    with requests.Session() as session:
        for response in (
            session.get(f"{base}/get", params={"q": "ä b"}),
            session.post(f"{base}/form", data={"a": "1"}),
            session.post(f"{base}/file", files={"f": ("name", b"content")}, headers={"Content-Type": "multipart/form-data; boundary=b"}),
            session.post(f"{base}/chunked", data=itertools.islice(pieces(), 50)),
            session.head(f"{base}/head"),
        ):
            # The boundary of a form is made anew each time.
            shown = response.text if "file" not in response.url else response.status_code
            print(response.status_code, dict(response.headers) if shown is response.text else "", shown)


def with_httpx():
    import httpx

    with httpx.Client(base_url=base) as client:
        for response in (client.get("/get"), client.post("/json", json={"a": 1}), client.put("/chunked", content=pieces()), client.head("/h")):
            print(response.http_version, response.status_code, response.headers.raw, response.text)


{
    "urllib": with_urllib,
    "http.client": with_http_client,
    "pipeline": with_pipeline,
    "requests": with_requests,
    "httpx": with_httpx,
}[which]()
