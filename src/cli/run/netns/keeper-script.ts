// The shell that makes a namespace and takes it down again, whatever becomes of the process that asked for it.

/** What the script is told, each as a variable of the shell; addresses without prefix lengths. */
export interface KeeperSettings {
  /** Of the namespace. */
  readonly name: string;
  /** Of the device on the machine's side. */
  readonly link: string;
  /** Of the chains in the machine's own iptables, one a table. */
  readonly chain: string;
  readonly host4: string;
  readonly inside4: string;
  readonly prefix4: number;
  readonly subnet4: string;
  readonly routes4: string;
  /** '' and 0 without IPv6. */
  readonly host6: string;
  readonly inside6: string;
  readonly prefix6: number;
  readonly subnet6: string;
  readonly routes6: string;
  /** Only takes down what another keeper has made. */
  readonly only_down: '' | 'yes';
}

/**
 * Reads descriptor 3 to its end, which comes when its owner has closed it or is gone, and then takes all down. Says on
 * the standard output `ready`, or `failed REASON` when nothing could be made, and in the end `left WHAT` for each thing that
 * is still there. Forwarding is the machine's, not one run's: who switches it on writes that on its device (the alias), the
 * last to go puts it back, and a lock on the setting itself keeps two from doing so at once.
 */
export function keeperScript(settings: KeeperSettings): string {
  const variables = Object.entries(settings).map(([name, value]) => `${name}='${value}'`);
  return `${variables.join('\n')}\n${steps}\nmain\nexit\n`;
}

const steps = String.raw`
trap '' HUP INT QUIT TERM PIPE USR1 USR2
ipv4=/proc/sys/net/ipv4 ipv6=/proc/sys/net/ipv6

main() {
  if [ -z "$only_down" ]; then
    make
    echo ready
    while read -r _ <&3; do :; done
  fi
  down
}

fail() {
  printf 'failed %s\n' "$(printf '%s' "$1" | tr '\n' ' ')"
  down
  exit 1
}

# Runs one step; what it says is the reason when it fails.
step() {
  said=$("$@" 2>&1 </dev/null) || fail "$1: $said"
}

make() {
  # Nothing is taken down then: a namespace of that name would be somebody else's.
  said=$(ip netns add "$name" 2>&1 </dev/null) || { echo "failed ip netns add: $said"; exit 1; }
  step ip link add "$link" type veth peer name eth0 netns "$name"
  step ip address add "$host4/$prefix4" dev "$link"
  step ip -n "$name" address add "$inside4/$prefix4" dev eth0
  copy_settings
  if [ -n "$host6" ]; then
    step ip address add "$host6/$prefix6" dev "$link" nodad
    step ip -n "$name" address add "$inside6/$prefix6" dev eth0 nodad
  else
    inside 'for interface in all default lo eth0; do echo 1 >"$1/conf/$interface/disable_ipv6"; done' "$ipv6"
  fi
  step ip link set "$link" up
  step ip -n "$name" link set lo up
  step ip -n "$name" link set eth0 up
  for route in $routes4; do step ip -n "$name" route replace "$route" via "$host4"; done
  for route in $routes6; do step ip -n "$name" -6 route replace "$route" via "$host6"; done
  rules iptables "$subnet4"
  [ -z "$host6" ] || rules ip6tables "$subnet6"
  forward
}

inside() {
  code=$1
  shift
  nsenter --net="/run/netns/$name" sh -c "$code" sh "$@" 2>/dev/null </dev/null
}

# Programs are to find the limits that the machine's own namespace has.
copy_settings() {
  for key in ipv4/ip_local_port_range ipv4/ip_local_reserved_ports ipv4/ip_unprivileged_port_start ipv4/ping_group_range \
    ipv4/tcp_keepalive_time ipv4/tcp_keepalive_intvl ipv4/tcp_keepalive_probes ipv4/tcp_syn_retries ipv4/tcp_fin_timeout \
    ipv4/tcp_rmem ipv4/tcp_wmem ipv4/tcp_max_syn_backlog core/somaxconn; do
    value=$(cat "/proc/sys/net/$key" 2>/dev/null) && [ -n "$value" ] && printf '%s %s\n' "$key" "$value"
  done | nsenter --net="/run/netns/$name" sh -c '
    while read -r key value; do echo "$value" >"/proc/sys/net/$key"; done' 2>/dev/null
}

rules() {
  said=$("$1-restore" -w 10 --noflush 2>&1 <<END
*filter
:$chain - [0:0]
-A $chain -i $link -j ACCEPT
-A $chain -o $link -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-I FORWARD -j $chain
-I INPUT -j $chain
COMMIT
*nat
:$chain - [0:0]
-A $chain -s $2 ! -o $link -j MASQUERADE
-I POSTROUTING -j $chain
COMMIT
END
  ) || fail "$1: $said"
}

remove_rules() {
  for hook in 'filter FORWARD' 'filter INPUT' 'nat POSTROUTING'; do
    "$1" -w 10 -t "${'$'}{hook% *}" -D "${'$'}{hook#* }" -j "$chain"
  done
  for table in filter nat; do
    "$1" -w 10 -t "$table" -F "$chain"
    "$1" -w 10 -t "$table" -X "$chain"
  done
} >/dev/null 2>&1 </dev/null

lock() {
  exec 9<"$ipv4/ip_forward"
  flock -w 10 9
}

unlock() {
  exec 9<&-
}

# Interfaces of family $1 that forward although the machine as a whole does not; "default" is one of them.
forwarding_alone() {
  for setting in "$1"/conf/*/forwarding; do
    interface=${'$'}{setting%/forwarding}
    interface=${'$'}{interface##*/}
    [ "$interface" = all ] || [ "$(cat "$setting")" != 1 ] || printf ' %s' "$interface"
  done
}

# Interfaces with routes from router advertisements, which a router does not take unless it is told to (accept_ra=2).
advertised() {
  ip -6 route show table all proto ra | sed -n 's/.* dev \([^ ]*\).*/\1/p' | sort -u | while read -r interface; do
    [ "$(cat "$ipv6/conf/$interface/accept_ra" 2>/dev/null)" != 1 ] || printf ' %s' "$interface"
  done
}

forward() {
  lock || fail 'flock: the lock on forwarding is held by somebody else'
  note=
  [ "$(cat "$ipv4/ip_forward")" = 1 ] || note="v4$(forwarding_alone "$ipv4");"
  learned=
  if [ -n "$host6" ] && [ "$(cat "$ipv6/conf/all/forwarding")" != 1 ]; then
    learned=$(advertised)
    note="${'$'}{note}v6$(forwarding_alone "$ipv6");ra$learned;"
  fi
  # Written before it is done: whoever takes down must know.
  [ -z "$note" ] || step ip link set "$link" alias "$note"
  for interface in $learned; do echo 2 >"$ipv6/conf/$interface/accept_ra"; done
  case $note in *v4*) echo 1 >"$ipv4/ip_forward" || fail 'ip_forward cannot be switched on' ;; esac
  case $note in *v6*) echo 1 >"$ipv6/conf/all/forwarding" || fail 'forwarding of IPv6 cannot be switched on' ;; esac
  unlock
}

note_of() {
  ip link show dev "$1" 2>/dev/null | sed -n 's/^ *alias //p'
}

# The device goes, and with it the note on it: to another run, or into the settings.
unforward() {
  lock
  note=$(note_of "$link")
  heir=$(ip -o link show type veth | sed -n 's/^[0-9]*: \(tracecar[0-9a-f]*\)@.*/\1/p' | grep -vx "$link" | head -n 1)
  if [ -n "$note" ] && [ -n "$heir" ]; then ip link set "$heir" alias "$(note_of "$heir")$note"
  else put_back "$note"
  fi
  ip link delete "$link"
  unlock
} >/dev/null 2>&1 </dev/null

put_back() {
  rest=$1
  while [ -n "$rest" ]; do
    entry=${'$'}{rest%%;*}
    rest=${'$'}{rest#*;}
    interfaces=${'$'}{entry#??}
    case $entry in
      v4*)
        echo 0 >"$ipv4/ip_forward"
        for interface in $interfaces; do echo 1 >"$ipv4/conf/$interface/forwarding"; done
        ;;
      v6*)
        echo 0 >"$ipv6/conf/all/forwarding"
        for interface in $interfaces; do echo 1 >"$ipv6/conf/$interface/forwarding"; done
        ;;
      ra*) for interface in $interfaces; do echo 1 >"$ipv6/conf/$interface/accept_ra"; done ;;
    esac
  done
}

end_processes() {
  for signal in TERM KILL; do
    tries=30
    while pids=$(ip netns pids "$name" 2>/dev/null) && [ -n "$pids" ]; do
      [ "$tries" -gt 0 ] || break
      if [ "$signal" = KILL ] || [ "$tries" = 30 ]; then kill -s "$signal" $pids 2>/dev/null; fi
      tries=$((tries - 1))
      sleep 0.1
    done
  done
}

down() {
  end_processes
  remove_rules iptables
  [ -z "$host6" ] || remove_rules ip6tables
  unforward
  ip netns delete "$name" >/dev/null 2>&1
  rm -rf "/run/$name"
  [ ! -e "/run/netns/$name" ] || echo "left namespace $name"
  ip link show dev "$link" >/dev/null 2>&1 && echo "left device $link"
  for program in iptables ip6tables; do
    "$program-save" 2>/dev/null | grep -q -- "$chain" && echo "left chain $chain of $program"
  done
  return 0
}
`;
