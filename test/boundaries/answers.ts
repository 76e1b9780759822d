// What a client can tell from the answers it has got.

/** The statuses in a run of answers, 1xx left out; bodies that hold status lines would mislead it. */
export function statuses(received: Buffer): number[] {
  const found = received.toString('latin1').matchAll(/HTTP\/1\.[01] (\d{3})[ \r]/g);
  return [...found].map(([, status]) => Number(status)).filter((status) => status >= 200);
}

/** Whether the server has refused something: all the oracles' own answers are 200. */
export function sawRefusal(received: Buffer): boolean {
  return statuses(received).some((status) => status >= 400);
}
