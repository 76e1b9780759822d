import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  exemptOwners,
  fateOf,
  ownersOf,
  parseSavedRules,
  portsReached,
} from '../../../../src/cli/doctor/capture/saved-rules.ts';
import { savedRules } from './support.ts';

test('our own rules lead both directions to the sidecar, but for the excluded ports', () => {
  const rules = parseSavedRules(savedRules({ istioLocalExcludePorts: '9090', istioLocalOutboundPortsExclude: '5432' }));
  assert.deepEqual([...portsReached(rules, 'PREROUTING')], [15006]);
  assert.deepEqual([...portsReached(rules, 'OUTPUT')], [15001]);
  assert.equal(fateOf(rules, 'PREROUTING', 8080).port, 15006);
  assert.deepEqual(fateOf(rules, 'PREROUTING', 9090), { port: undefined, rule: '-p tcp --dport 9090 -j RETURN' });
  assert.equal(fateOf(rules, 'OUTPUT', 443).port, 15001);
  assert.deepEqual(fateOf(rules, 'OUTPUT', 5432), { port: undefined, rule: '-p tcp --dport 5432 -j RETURN' });
});

test("Istio's rules, and those of tproxy, are understood as well", () => {
  const istio = parseSavedRules(savedRules({ iptables: 'istio', istioInboundPorts: '80,8080' }));
  assert.deepEqual([...ownersOf(istio)], ['istio']);
  assert.deepEqual([...portsReached(istio, 'OUTPUT')], [15001]);
  assert.equal(fateOf(istio, 'PREROUTING', 8080).port, 15006);
  assert.deepEqual(fateOf(istio, 'PREROUTING', 9090), { port: undefined, rule: '' });
  for (const kind of ['tracecar', 'istio']) {
    const tproxy = parseSavedRules(savedRules({ iptables: kind, capture: 'tproxy' }));
    assert.equal(fateOf(tproxy, 'PREROUTING', 8080).port, 15006, kind);
    assert.equal(fateOf(tproxy, 'PREROUTING', 15021).port, undefined, kind);
  }
});

test('the rules say who is left alone, and nothing follows from rules of other programs', () => {
  const rules = parseSavedRules(savedRules({ proxyUid: '1500', proxyGid: '1600,1601' }));
  const { uids, gids } = exemptOwners(rules);
  assert.deepEqual([[...uids], [...gids]], [[1500], [1600, 1601]]);
  const others = parseSavedRules(
    '*nat\n-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1\nCOMMIT\n',
  );
  assert.equal(ownersOf(others).size, 0);
  assert.deepEqual(fateOf(others, 'PREROUTING', 80), { port: undefined, rule: '' });
});

test('lists and ranges of ports, comments and a table that is left early are read as iptables means them', () => {
  const text = [
    '*nat',
    '-A PREROUTING -p tcp -j TRACECAR_INBOUND',
    '-A TRACECAR_INBOUND -p tcp -m comment --comment "not -j RETURN these" -m multiport --dports 22,9000:9010 -j RETURN',
    '-A TRACECAR_INBOUND -p tcp -m tcp ! --dport 8080 -j ACCEPT',
    '-A TRACECAR_INBOUND -p tcp -j REDIRECT --to-ports 15006',
    'COMMIT',
  ].join('\n');
  const rules = parseSavedRules(text);
  assert.deepEqual(
    [22, 9005, 9011, 8080].map((port) => fateOf(rules, 'PREROUTING', port).port),
    [undefined, undefined, undefined, 15006],
  );
  assert.match(fateOf(rules, 'PREROUTING', 9011).rule, /! --dport 8080 -j ACCEPT/);
});
