// What the tools say when they refuse, as real ones have said it, and the one line that comes of it.
import assert from 'node:assert/strict';
import test from 'node:test';
import { describeFailure } from '../../src/iptables/failure.ts';

const input = '*nat\n:TRACECAR_OUTPUT - [0:0]\n-A TRACECAR_OUTPUT -m owner --uid-owner 1337 -j RETURN\nCOMMIT\n';

function lineFor(stderr: string, text = input, family: 'ipv4' | 'ipv6' = 'ipv4'): string {
  const result = { status: 1, stdout: '', stderr, isMissing: false };
  return describeFailure(['iptables-restore', '--noflush'], result, family, text);
}

test('each refusal names what is missing and what to do', () => {
  const cases: [string, RegExp][] = [
    [
      "iptables-restore v1.8.9 (legacy): iptables-restore: unable to initialize table 'nat'\nError occurred at line: 1\n",
      /^the kernel has no table nat for IPv4; load the module iptable_nat/,
    ],
    [
      "iptables v1.8.7 (legacy): can't initialize iptables table `mangle': Table does not exist (do you need to insmod?)",
      /^the kernel has no table mangle for IPv4; load the module iptable_mangle/,
    ],
    [
      'iptables-restore v1.8.9 (nf_tables): Could not fetch rule set generation id: Invalid argument\n',
      /^the kernel has no nf_tables; try --force-iptables-binary legacy$/,
    ],
    [
      'Warning: Extension TPROXY revision 0 not supported, missing kernel module?\niptables-restore: line 3: RULE_APPEND failed (No such file or directory)',
      /^the kernel or iptables has no TPROXY for IPv4; load the module xt_TPROXY$/,
    ],
    [
      "iptables-restore v1.8.9 (legacy): Couldn't load match `owner':No such file or directory\nError occurred at line: 3\n",
      /^the kernel or iptables has no owner for IPv4; load the module xt_owner$/,
    ],
    [
      'iptables-nft-restore: \nline 3: RULE_APPEND failed (No such file or directory): rule in chain TRACECAR_OUTPUT\n',
      /^the kernel refuses "-A TRACECAR_OUTPUT -m owner --uid-owner 1337 -j RETURN" for IPv4; it needs the modules xt_owner/,
    ],
    [
      'iptables: No chain/target/match by that name.',
      /^the kernel refuses a rule for IPv4; it needs the modules xt_owner/,
    ],
    [
      'iptables v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)',
      /^no permission to change iptables: this needs the capability NET_ADMIN/,
    ],
    [
      "Fatal: can't open lock file /run/xtables.lock: Read-only file system",
      /cannot open its lock: .*Read-only file system; set XTABLES_LOCKFILE/,
    ],
    ['something nobody has seen\nand more', /^iptables-restore failed \(1\): something nobody has seen$/],
  ];
  for (const [stderr, expected] of cases) {
    const line = lineFor(stderr);
    assert.match(line, expected);
    assert.ok(!line.includes('\n'), line);
  }
});

test('for IPv6 the line says how to do without', () => {
  assert.match(
    lineFor("ip6tables-restore: unable to initialize table 'nat'", input, 'ipv6'),
    /load the module ip6table_nat .*, or leave IPv6 uncaptured with --ipv6 off$/,
  );
});
