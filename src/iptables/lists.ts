// The lists an operator writes between commas: ports, user and group ids, interfaces, groups.
import { UsageError } from '../runtime/usage-error.ts';

/** Everything (`*`), or these. */
export type Selection<T> = '*' | readonly T[];

/** The entries of a comma-separated list; empty ones are skipped, so `6000,7000,` has two. */
export function splitList(text: string): string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

/** @throws UsageError when the text is not a port, 1 to 65535 */
export function parsePort(text: string, what: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65535) {
    throw new UsageError(`${what}: "${text}" is not a port; write a number from 1 to 65535`);
  }
  return port;
}

/** @throws UsageError when an entry is not a port */
export function parsePorts(text: string, what: string): number[] {
  return [...new Set(splitList(text).map((entry) => parsePort(entry, what)))];
}

/** `*`, or a list read by `parse`. A `*` among other entries is an error. */
export function parseSelection<T>(
  text: string,
  what: string,
  parse: (text: string, what: string) => readonly T[],
): Selection<T> {
  const entries = splitList(text);
  if (entries.length === 1 && entries[0] === '*') return '*';
  if (entries.includes('*')) throw new UsageError(`${what}: "*" stands alone, for everything`);
  return parse(text, what);
}

/**
 * Ids of users or groups whose traffic is never captured.
 * @throws UsageError when one is not a number, and on 0: root's traffic is the application's in most images
 */
export function parseIds(text: string, what: string): number[] {
  const ids = splitList(text).map((entry) => {
    if (!/^\d{1,10}$/.test(entry) || Number(entry) > 0xfffffffe) {
      throw new UsageError(`${what}: "${entry}" is not an id; write numbers, e.g. 1337`);
    }
    if (Number(entry) === 0) {
      throw new UsageError(
        `${what}: 0 is root, whose traffic is never let past; run the sidecar as another user, or as root with gid 1337`,
      );
    }
    return Number(entry);
  });
  if (ids.length === 0) throw new UsageError(`${what}: no id given; without one the sidecar would capture itself`);
  return [...new Set(ids)];
}

/**
 * Names of network interfaces; a `+` at the end stands for any ending, as iptables has it.
 * @throws UsageError on what no interface can be called
 */
export function parseInterfaces(text: string, what: string): string[] {
  return splitList(text).map((name) => {
    if (!/^[A-Za-z0-9_.:@][A-Za-z0-9_.:@-]{0,14}\+?$/.test(name) || name.length > 15) {
      throw new UsageError(`${what}: "${name}" is not the name of an interface`);
    }
    return name;
  });
}

/** Groups by name or id. @throws UsageError on what no group can be called */
export function parseGroups(text: string, what: string): string[] {
  return splitList(text).map((name) => {
    if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$/.test(name)) {
      throw new UsageError(`${what}: "${name}" is not a group; write names or ids`);
    }
    return name;
  });
}
