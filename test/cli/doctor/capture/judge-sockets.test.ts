import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applicationSockets, judgeOwners, judgePorts } from '../../../../src/cli/doctor/capture/judge-sockets.ts';
import { isHere, lookAround, type Machine } from '../../../../src/cli/doctor/capture/namespace.ts';
import { allV4, fakeMachine, savedRules } from './support.ts';

const everywhere = '00000000';
const own = new Set([15001, 15006, 15020]);

function examine(machine: Machine, asked?: number) {
  const here = lookAround(machine);
  const sockets = applicationSockets(here, own);
  return [...judgeOwners('shop', here, sockets), ...judgePorts('shop', allV4, here, sockets, asked)];
}

test('an application of its own user, on captured ports, is nothing to speak of; nor are loopback and the sidecar', () => {
  const machine = fakeMachine({
    programs: { 'iptables-save': savedRules() },
    sockets: [
      { address: everywhere, port: 8080, uid: 1000, pid: 9, gid: 1000 },
      { address: '0100007F', port: 15021, uid: 1337 },
      { address: everywhere, port: 15006, uid: 1337, pid: 10, gid: 1337 },
      { address: everywhere, port: 15020, uid: 1337 },
    ],
  });
  assert.deepEqual(examine(machine, 8080), []);
});

test("an application with the sidecar's user or group is found, with or without sight of rules and processes", () => {
  const sockets = [
    { address: everywhere, port: 8080, uid: 1337 },
    { address: everywhere, port: 8081, uid: 1000, pid: 9, gid: 1337 },
  ];
  for (const programs of [{}, { 'iptables-save': savedRules() }]) {
    const findings = examine(fakeMachine({ sockets, programs }));
    assert.deepEqual(
      findings.map(({ verdict, detail }) => [verdict, detail]),
      [
        ['bad', "the application on port 8080 runs as user 1337, the sidecar's own: what it sends is not captured"],
        ['bad', "shop (pid 9) on port 8081 runs as group 1337, the sidecar's own: what it sends is not captured"],
      ],
    );
    assert.match(findings[0]?.advice ?? '', /runAsUser/);
  }
});

test('whom the rules leave alone is read from them', () => {
  const programs = { 'iptables-save': savedRules({ proxyUid: '1500', proxyGid: '1500' }) };
  const of = (uid: number) => examine(fakeMachine({ programs, sockets: [{ address: everywhere, port: 8080, uid }] }));
  assert.deepEqual(of(1337), []);
  assert.match(of(1500)[0]?.detail ?? '', /runs as user 1500/);
});

test('an excluded port is a fault when it was asked about, else only told; with the rule that leaves it out', () => {
  const machine = fakeMachine({
    programs: { 'iptables-save': savedRules({ istioLocalExcludePorts: '9090' }) },
    sockets: [
      { address: everywhere, port: 8080, uid: 1000 },
      { address: everywhere, port: 9090, uid: 1000 },
    ],
  });
  const [told, ...others] = examine(machine, 8080);
  assert.equal(others.length, 0);
  assert.deepEqual(
    [told?.verdict, told?.detail],
    ['open', 'inbound port 9090 is not captured: the rule "-p tcp --dport 9090 -j RETURN"'],
  );
  assert.match(told?.advice ?? '', /-d .*-b/);
  assert.equal(examine(machine, 9090)[0]?.verdict, 'bad');
});

test("an application's only port that no include list has is a fault", () => {
  const machine = fakeMachine({
    programs: { 'iptables-save': savedRules({ istioInboundPorts: '80' }) },
    sockets: [{ address: everywhere, port: 8080, uid: 1000 }],
  });
  const [finding] = examine(machine);
  assert.deepEqual(
    [finding?.verdict, finding?.detail],
    ['bad', 'inbound port 8080 is not captured: no rule includes it'],
  );
});

test('a port asked about that is not of this pod is looked for among the excluded outbound ones', () => {
  const machine = fakeMachine({
    programs: { 'iptables-save': savedRules({ istioLocalOutboundPortsExclude: '9000' }) },
    sockets: [{ address: everywhere, port: 8080, uid: 1000 }],
  });
  assert.match(examine(machine, 9000)[0]?.detail ?? '', /^outbound port 9000 is not captured: the rule /);
  assert.deepEqual(examine(machine, 9001), []);
});

test('a sidecar shares the namespace when its admin address is loopback or one of this machine', () => {
  const machine = fakeMachine({ addresses: ['10.0.0.7', '2001:db8::7'] });
  const admins = ['127.0.0.1:15000', 'localhost:1', '[::1]:15000', '10.0.0.7:15020', '[2001:db8::7]:15020'];
  assert.deepEqual(
    [...admins, '10.0.0.8:15020'].map((admin) => isHere(admin, machine)),
    [true, true, true, true, true, false],
  );
});
