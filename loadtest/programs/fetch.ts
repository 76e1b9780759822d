// Prints the page at a URL as one JSON string: for pages that only a namespace's own programs can reach.
const response = await fetch(process.argv[2] ?? '');
process.stdout.write(`${JSON.stringify(await response.text())}\n`);
