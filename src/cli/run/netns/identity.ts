// Whom a command runs as: the user who called sudo, or whom the operator names, else this process's own user.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { UsageError } from '../../../runtime/usage-error.ts';
import { systemProgram } from './requirements.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** All groups, the first one included. */
  readonly groups: readonly number[];
  /** '' for a uid without an entry. */
  readonly name: string;
  readonly home: string;
}

/** The owner of connections that are not captured. */
export const exemptId = 1337;

/**
 * The user to become, undefined to stay the one we are.
 * @param user a name or uid, undefined when none was given
 * @throws UsageError for an unknown user, and for one whose connections would not be captured
 */
export function chooseIdentity(user: string | undefined, environment: Environment): Identity | undefined {
  const { SUDO_UID: uid, SUDO_GID: gid } = environment;
  let chosen: Identity | undefined;
  if (user !== undefined) chosen = lookUp(user);
  else if (uid !== undefined && uid !== '0' && /^\d+$/.test(uid)) chosen = lookUp(uid, Number(gid ?? uid));
  const [ownUid, ownGid] = [chosen?.uid ?? process.getuid?.(), chosen?.gid ?? process.getgid?.()];
  for (const [what, id] of [
    ['uid', ownUid],
    ['gid', ownGid],
  ] as const) {
    if (id !== exemptId) continue;
    throw new UsageError(
      `--netns: the command would run with ${what} ${exemptId}, the sidecar's, and not be captured; use --user`,
    );
  }
  return chosen;
}

/** The command line that becomes `identity` and then the command behind it. */
export function becoming(identity: Identity | undefined): readonly string[] {
  if (identity === undefined) return [];
  const { uid, gid, groups } = identity;
  return [
    systemProgram('setpriv'),
    `--reuid=${uid}`,
    `--regid=${gid}`,
    `--groups=${groups.join(',')}`,
    '--inh-caps=-all',
    '--',
  ];
}

/** What a login of that user would change of the environment. */
export function variablesOf(identity: Identity | undefined): NodeJS.ProcessEnv {
  if (identity === undefined || identity.name === '') return {};
  return { HOME: identity.home, USER: identity.name, LOGNAME: identity.name };
}

function lookUp(user: string, gidWithoutEntry?: number): Identity {
  const isNumber = /^\d+$/.test(user);
  const entry = passwdLines(user).find((fields) => fields[isNumber ? 2 : 0] === user);
  if (entry !== undefined) {
    const [name = '', , uid = '', gid = '', , home = '/'] = entry;
    return { uid: Number(uid), gid: Number(gid), groups: groupsOf(name, Number(gid)), name, home };
  }
  if (!isNumber) throw new UsageError(`--user: "${user}" is not a user of this machine`);
  const gid = gidWithoutEntry ?? Number(user);
  return { uid: Number(user), gid, groups: [gid], name: '', home: '/' };
}

/** Entries of passwd(5); users of a directory service are known to `getent` alone. */
function passwdLines(user: string): readonly (readonly string[])[] {
  const split = (text: string) => text.split('\n').map((line) => line.split(':'));
  const local = split(readFileSync('/etc/passwd', 'utf8'));
  if (local.some(([name, , uid]) => name === user || uid === user)) return local;
  try {
    return split(execFileSync('getent', ['passwd', user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  } catch {
    return [];
  }
}

function groupsOf(name: string, gid: number): readonly number[] {
  try {
    const text = execFileSync('id', ['-G', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return text.trim().split(/\s+/).map(Number);
  } catch {
    return [gid];
  }
}
