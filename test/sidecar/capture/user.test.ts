// Who the sidecar may be with tproxy.
import assert from 'node:assert/strict';
import test from 'node:test';
import { UsageError } from '../../../src/runtime/usage-error.ts';
import { checkUser } from '../../../src/sidecar/capture/capture.ts';

test("with Istio's chains user 1337 is refused, for its own inbound leg would come back to it", () => {
  assert.throws(
    () => checkUser({ iptables: 'istio' }, 1337),
    (error) => error instanceof UsageError && /uid 1337 .*uid 0 gid 1337/.test(error.message),
  );
  checkUser({ iptables: 'istio' }, 0);
  checkUser({ iptables: 'tracecar' }, 1337);
});
