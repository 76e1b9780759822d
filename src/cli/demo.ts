// The `demo` command.
import { Command } from 'commander';

export function define(): Command {
  return new Command();
}
