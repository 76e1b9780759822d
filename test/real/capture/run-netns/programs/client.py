# Calls each URL by urllib and by http.client, and says what came.
import http.client
import sys
import urllib.parse
import urllib.request

for url in sys.argv[1:]:
    with urllib.request.urlopen(url, timeout=20) as response:
        print(response.status, response.read().decode())
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    connection.request("GET", parts.path)
    response = connection.getresponse()
    print(response.status, response.read().decode())
    connection.close()
