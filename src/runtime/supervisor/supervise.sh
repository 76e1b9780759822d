#!/bin/sh
# Keeps the workers of a sidecar running. A shell because a second Node would cost 40 MB beside every workload; only
# POSIX, for dash and busybox.
#
#   supervise.sh WORKERS COMMAND...
#
# Descriptors, made by whoever became this shell: 3 is the write end of a pipe that nobody else holds, so that workers,
# who have the read end as 4, see it close when this shell is gone, however it went; 9 is the standard input; 5 to 8 and
# 10 on are listening sockets, which stay bound while a worker is being replaced.
#
# Signals: TERM and INT are passed on, each time they come; USR2 comes from a worker that listens, USR1 from one that
# accepts no more.
# A worker ends us with it by exit code 0 (it was asked to stop) or 2 (its configuration is of no use); one that ends in
# any other way is started again.

readonly orphaned=75 stalled=64
readonly round_s=2 max_silent_rounds=2 settled_after_cs=100 free_deaths=10 max_pause_s=30

stopping=
closed=
signalled=
child=

pass_on() {
  stopping=$1
  signalled=1
  for pid in $child; do kill -s "$1" "$pid" 2>/dev/null; done
}

# Nobody accepts any more: connections are to be refused now, not to wait for nothing.
close_sockets() {
  closed=1
  signalled=1
  exec 5<&- 6<&- 7<&- 8<&-
  [ "$1" = main ] || kill -s USR1 "$$"
}

take_signals() {
  trap 'pass_on TERM' TERM
  trap 'pass_on INT' INT
  trap "close_sockets $1" USR1
  trap 'served=1 signalled=1' USR2
}

# Sets `status` to how $1 ended; a signal for us ends the builtin early.
await() {
  status=1
  while :; do
    signalled=
    wait "$1" 2>/dev/null
    got=$?
    [ "$got" = 127 ] && break
    status=$got
    [ -n "$signalled" ] || break
  done
}

# Sets `now`, in hundredths of a second.
look_at_clock() {
  read -r now _ </proc/uptime
  now=${now%.*}${now#*.}
}

# Kills worker $1 when its name has been the same for over five seconds: it changes it from its event loop every second.
# Rounds are counted, not seconds, so that a machine that was asleep kills nobody.
watch() {
  exec 3>&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&- </dev/null >/dev/null 2>&1
  last=
  silent=0
  while sleep "$round_s"; do
    # A worker that is stopped cannot see that the pipe has closed.
    kill -s 0 "$$" || { kill -s KILL "$1"; exit 0; }
    read -r beat <"/proc/$1/comm" || exit 0
    case $beat in
      tracecar-*) ;;
      *) continue ;;
    esac
    if [ "$beat" = "$last" ]; then silent=$((silent + 1)); else silent=0; fi
    last=$beat
    [ "$silent" -le "$max_silent_rounds" ] || { kill -s KILL "$1" && exit "$stalled"; }
  done
}

# Runs worker number $1 until it is not to be started again; exits with its code.
keep() {
  index=$1
  shift
  restarts=0
  deaths=0
  pause_s=0
  ended=
  while :; do
    look_at_clock
    started=$now
    served=
    TRACECAR_WORKER_INDEX=$index TRACECAR_WORKER_RESTARTS=$restarts TRACECAR_WORKER_ENDED=$ended \
      "$@" <&9 3>&- 9<&- &
    child=$!
    watch "$child" &
    dog=$!
    # Each round forks; at the worker's own priority that would hold up a few requests of every thousandth.
    renice -n 19 -p "$dog" >/dev/null 2>&1
    [ -z "$stopping" ] || kill -s "$stopping" "$child" 2>/dev/null
    await "$child"
    child=
    code=$status
    kill "$dog" 2>/dev/null
    wait "$dog" 2>/dev/null
    dog_status=$?
    case $code in
      0 | 2 | "$orphaned") exit "$code" ;;
    esac
    # Too young to take the signal it was stopped by: there was nothing to drain.
    case "$stopping$served$code" in
      TERM143 | INT130) exit 0 ;;
    esac
    [ -z "$stopping$closed" ] || exit "$code"
    ended="exit code $code"
    [ "$code" -le 128 ] || ended="signal $((code - 128))"
    [ "$dog_status" != "$stalled" ] || ended="stalled, $ended"
    restarts=$((restarts + 1))
    pause
    [ -z "$stopping" ] || exit 0
  done
}

# At once after the first deaths, then ever later: a worker that dies again and again must not keep a core busy. One that
# never came to listen counts twice; one that served for a while makes all forgotten.
pause() {
  look_at_clock
  if [ -n "$served" ] && [ $((now - started)) -ge "$settled_after_cs" ]; then
    deaths=0
    pause_s=0
  fi
  if [ -n "$served" ]; then deaths=$((deaths + 1)); else deaths=$((deaths + 2)); fi
  [ "$deaths" -gt "$free_deaths" ] || return 0
  pause_s=$((pause_s * 2))
  [ "$pause_s" -gt 0 ] || pause_s=1
  [ "$pause_s" -le "$max_pause_s" ] || pause_s=$max_pause_s
  sleep "$pause_s" 3>&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&- </dev/null >/dev/null 2>&1 &
  child=$!
  [ -z "$stopping" ] || kill "$child" 2>/dev/null
  await "$child"
  child=
}

# A worker of several: when it ends unasked and for good, all are to end.
keep_one_of_many() {
  # Not as a redirection of the call: the shell would keep a copy to go back to.
  exec 3>&-
  child=
  take_signals member
  trap '[ -n "$stopping" ] || kill -s TERM "$$"' EXIT
  keep "$@"
}

workers=$1
shift
if [ "$workers" = 1 ]; then
  take_signals main
  keep 0 "$@"
fi
take_signals main
members=
index=0
while [ "$index" -lt "$workers" ]; do
  keep_one_of_many "$index" "$@" &
  members="$members $!"
  child=$members
  index=$((index + 1))
done
[ -z "$stopping" ] || pass_on "$stopping"
final=0
for member in $members; do
  await "$member"
  [ "$final" = 2 ] || [ "$status" = 0 ] || final=$status
done
exit "$final"
