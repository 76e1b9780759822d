// The viewer's modules as tests load them: they run in the browser, and the pure ones in Node too.

/** A module of src/ui/static, typed by its caller. */
export async function load<T>(name: string): Promise<T> {
  return (await import(new URL(`../../src/ui/static/${name}`, import.meta.url).href)) as T;
}
