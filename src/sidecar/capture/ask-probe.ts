// Sees whether the rules of capture are in force, as an unprivileged process can: by a connection that only they make work.
import { connect } from 'node:net';
import { errorCode } from '../../runtime/usage-error.ts';
import type { Direction } from '../config.ts';
import { type ProbeTarget, probeAnswer } from './probe-targets.ts';

const patienceMs = 500;

/**
 * Whether a connection to `target` is answered by a sidecar to which it was led as of `direction`; undefined when nobody
 * had time: a busy sidecar resets it, or is late. Never rejects.
 */
export function askProbe(target: ProbeTarget, direction: Direction): Promise<boolean | undefined> {
  const expected = probeAnswer(direction);
  return new Promise((resolve) => {
    const socket = connect(target);
    let answer = '';
    const tell = (outcome: boolean | undefined) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    const done = () => tell(answer === expected);
    const timer = setTimeout(() => tell(undefined), patienceMs);
    timer.unref();
    socket.setEncoding('latin1').unref();
    socket.on('data', (text: string) => {
      answer += text;
      if (answer.length >= expected.length) done();
    });
    socket.on('error', (error) => tell(errorCode(error) === 'ECONNRESET' ? undefined : false));
    socket.on('end', done).on('close', done);
  });
}
