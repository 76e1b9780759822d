// Reads the query API of this same server, and says what went wrong in one sentence.

/** The `data` of an answer. Throws an Error with a message to be shown; `notFound` is set on it for 404. */
export async function read(path) {
  let response;
  try {
    response = await fetch(path, { headers: { accept: 'application/json' } });
  } catch {
    throw new Error('The collector does not answer. Is it still running?');
  }
  const answer = await response.json().catch(() => undefined);
  if (!response.ok || answer === undefined) {
    const message = answer?.errors?.[0]?.msg ?? `the server answered ${response.status}`;
    throw Object.assign(new Error(message), { notFound: response.status === 404 });
  }
  return answer.data;
}
