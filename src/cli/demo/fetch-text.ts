// GET with a deadline, for the pages of our own processes and of the backends.

export interface Page {
  readonly status: number;
  readonly body: string;
}

/** Fetches a URL; rejects when nothing answers within `timeoutMs`. Any status resolves. */
export async function fetchText(url: string, timeoutMs = 2_000): Promise<Page> {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), headers: { connection: 'close' } });
  return { status: response.status, body: await response.text() };
}

/** The same, parsed as JSON; undefined when it is not 200 or not JSON. */
export async function fetchJson(url: string, timeoutMs = 2_000): Promise<unknown> {
  const page = await fetchText(url, timeoutMs);
  if (page.status !== 200) return undefined;
  try {
    return JSON.parse(page.body);
  } catch {
    return undefined;
  }
}
