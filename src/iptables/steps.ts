// Changes that belong together: made one after the other, and all taken back when one of them is refused.
import { errorMessage } from '../runtime/usage-error.ts';

export interface Step {
  /** What it does, for the log. */
  readonly label: string;
  run(): void;
  undo(): void;
}

/**
 * Runs the steps, then `verify`. When any of it throws, the steps that were made are undone, last first.
 * @throws Error the first error; when something could not be undone, its message says that as well
 */
export function runSteps(steps: readonly Step[], verify: () => void): void {
  const done: Step[] = [];
  try {
    for (const step of steps) {
      step.run();
      done.push(step);
    }
    verify();
  } catch (error) {
    const left = undo(done);
    if (left.length === 0) throw error;
    throw new Error(`${errorMessage(error)}; and this could not be undone: ${left.join('; ')}`, { cause: error });
  }
}

function undo(done: readonly Step[]): string[] {
  return done.toReversed().flatMap((step) => {
    try {
      step.undo();
      return [];
    } catch (error) {
      return [`${step.label} (${errorMessage(error)})`];
    }
  });
}
