#!/usr/bin/perl
# Regent's guard: the kill switch of one PostgreSQL data directory.
#
# Usage: guard.pl <runtime dir> <key> <data dir> <names of the server's program, with slashes
#        between> <kill delay ms> [<name of its log, without .log>]
#
# With every confirmed renewal of its lease, the agent gives it a deadline on the boot clock. After
# that moment this process stops the postmaster of the data directory, and every postmaster that
# appears there later. It goes on until an agent tells it otherwise, or until no agent has been
# connected for a while. By then any server that a dead agent had begun to start has appeared. A
# person who starts PostgreSQL after that does so without protection.
#
# It must need nothing that can hang: hardly any heap, no network, no PostgreSQL connection, no
# module beyond Socket and Fcntl. Two more parts are read after this one. guard-server.pl knows the
# server's processes. guard-tether.pl has the kernel stop PostgreSQL when this process and its agent
# are killed together.
#
# One line in, one line out (all times in boot milliseconds):
#   ping          -> ok regent-guard 1 <pid>
#   hold <pid>    -> ok hold | held <pid> (the living agent that holds the data directory)
#   status        -> disarmed | armed <deadline> | fired <when>
#   arm <ms>      -> ok armed <ms> | late <now> (it fires at once) | busy (it is killing: ask again)
#   disarm        -> ok disarmed | busy
#   end           -> ok end, and it exits (or stays: see guard-tether.pl)
#   tether        -> tether <pid> <fd> <on|off> | untethered
#   tether <pid> <fd>, with the ends of the pipe -> ok tether, once the agent has tied itself
#   tied <pid> <fd> (the agent holds it too)     -> ok tied | untethered
#   untied        -> ok untied
# Exit codes: 0 done, 75 another guard holds the data directory, 1 anything else (the reason is on
# the standard output).
use strict;
use Config;
use Fcntl qw(LOCK_EX LOCK_SH LOCK_NB O_RDONLY O_WRONLY O_RDWR O_CREAT O_APPEND O_DIRECTORY O_NONBLOCK O_NOFOLLOW O_ASYNC F_GETFL F_SETFL);
use Socket qw(AF_UNIX SOCK_STREAM pack_sockaddr_un);

use constant {
    GRANULARITY   => 10,      # /proc/uptime counts hundredths of a second
    # Without an alarm: select() sleeps on a clock that stands still during suspend.
    ARMED_NAP     => 100,
    ALARMED_NAP   => 5000,
    FIRED_NAP     => 75,
    BURST_NAP     => 10,
    IDLE_NAP      => 5000,
    HOUSEKEEPING  => 5000,
    FULL_SCAN     => 1000,
    LONELY_EXIT   => 60_000,
    FIRED_LINGER  => 5000,
    BURST_PATIENT => 2000,
    LOG_LIMIT     => 262_144,
    NOTES_LIMIT   => 1000,
    LINE_LIMIT    => 200,
    START_SLACK   => 3,       # seconds
    CLOCK_BOOTTIME => 7,
    PIDFD_SEND_SIGNAL => 424, # the same number on every architecture
    KILL => 9, QUIT => 3,
};

my ($runtime, $key, $data_dir, $exe_names, $kill_delay, $log_name) = @ARGV;
die_with("usage: guard.pl <runtime dir> <key> <data dir> <exe names> <kill delay ms>") unless defined $kill_delay && $kill_delay =~ /^\d+$/;
my %exe_names = map { $_ => 1 } split m{/}, $exe_names;
my ($socket_path, $lock_path, $old_log_path) = map { "$runtime/$key.$_" } qw(sock lock log);
my $log_path = defined $log_name && $log_name =~ /^[A-Za-z0-9._-]+$/ ? "$runtime/$log_name.log" : $old_log_path;

my ($deadline, $fired_at, $has_fired); # undef, undef: disarmed
my ($burst_at, %quit_sent);            # from the first process seen after firing until none is left
my ($uptime, $alarm, $alarm_settime, $listener, $lock, $runtime_handle, $socket_inode);
my (%clients, %foreign_logged, @notes);
my ($holder, $holder_start);           # the agent that holds the data directory
my ($last_company, $last_full_scan, $last_housekeeping) = (0, 0, 0);

sub die_with { syswrite STDOUT, "failed $_[0]\n"; exit 1 }

sub now_ms {
    sysseek $uptime, 0, 0;
    sysread $uptime, my $text, 64;
    $text =~ /^(\d+)\.(\d\d)/ or return -1;
    return ($1 * 100 + $2) * 10;
}

# A timerfd on CLOCK_BOOTTIME goes off at the deadline even if the machine slept through it, and
# costs no wakeups before. Perl has no wrapper and the system call's number differs by architecture;
# where it is not known here, the loop takes short naps instead.
sub make_alarm {
    my ($machine) = $Config{archname} =~ /^([^-]+)/;
    my $numbers = { x86_64 => [283, 286], aarch64 => [85, 86], riscv64 => [85, 86] }->{$machine} or return;
    my $fd = syscall $numbers->[0], CLOCK_BOOTTIME, O_NONBLOCK;
    return if $fd < 0;
    open $alarm, '<&=', $fd or return;
    $alarm_settime = $numbers->[1];
}

# Counted from now, not absolute: /proc/uptime need not agree with CLOCK_BOOTTIME inside a
# container.
sub set_alarm {
    return unless defined $alarm;
    my $left = defined $deadline ? $deadline - GRANULARITY - now_ms() : 0;
    $left = 1 if defined $deadline && $left < 1;
    my $spec = pack 'q4', 0, 0, int($left / 1000), ($left % 1000) * 1_000_000;
    undef $alarm if syscall($alarm_settime, fileno $alarm, 0, $spec, 0) != 0;
}

# Written later, by flush_notes: a disk that hangs must not come between the deadline and the
# signals.
sub note {
    my ($text) = @_;
    my ($sec, $min, $hour, $day, $month, $year) = gmtime;
    shift @notes if @notes >= NOTES_LIMIT;
    push @notes, sprintf("%04d-%02d-%02dT%02d:%02d:%02dZ boot=%d %s\n", $year + 1900, $month + 1, $day, $hour, $min, $sec, now_ms(), $text);
}

sub flush_notes {
    return unless @notes;
    rename $log_path, "$log_path.1" if (-s $log_path || 0) > LOG_LIMIT;
    sysopen my $log, $log_path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0600 or return;
    syswrite $log, join '', splice @notes;
}

# ---- the place: a private directory, one lock, one socket ----

# False when another guard holds the lock.
sub take_place {
    mkdir $runtime, 0700;
    my @stat = lstat $runtime or die_with("cannot create $runtime: $!");
    die_with("$runtime is not a directory of user id $> with mode 0700") unless -d _ && !-l _ && $stat[4] == $> && !($stat[2] & 077);
    # tmpfiles-style cleaners leave a directory alone while somebody holds a lock on it.
    sysopen $runtime_handle, $runtime, O_RDONLY | O_DIRECTORY and flock $runtime_handle, LOCK_SH | LOCK_NB;
    sysopen my $handle, $lock_path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600 or die_with("cannot open $lock_path: $!");
    flock $handle, LOCK_EX | LOCK_NB or return 0;
    # The holder before us may have removed the file between our open and our lock.
    my @held = stat $handle;
    my @named = stat $lock_path;
    return 0 unless @named && $held[1] == $named[1];
    # A guard that was killed has left the name of its agent.
    sysread $handle, my $left, 100;
    ($holder, $holder_start) = ($1, $2) if !defined $holder && defined $left && $left =~ /^held (\d+) (\d+)$/m;
    $lock = $handle;
    sign_lock();
    return 1;
}

sub sign_lock {
    sysseek $lock, 0, 0;
    truncate $lock, 0;
    syswrite $lock, "$$\n" . (defined $holder ? "held $holder $holder_start\n" : '');
}

sub listen_here {
    unlink $socket_path;
    socket my $handle, AF_UNIX, SOCK_STREAM, 0 or return 0;
    bind $handle, pack_sockaddr_un($socket_path) or return 0;
    listen $handle, 16 or return 0;
    fcntl $handle, F_SETFL, fcntl($handle, F_GETFL, 0) | O_NONBLOCK;
    $socket_inode = (lstat $socket_path)[1];
    $listener = $handle;
    return 1;
}

# Somebody tidied the directory away: become reachable again, or leave when another guard has taken
# the place and nobody talks to us.
sub keep_place {
    my ($inode) = (lstat $socket_path)[1];
    return if defined $inode && $inode == $socket_inode;
    undef $lock;
    if (take_place()) { listen_here(); note("socket was gone, made again") }
    elsif (!%clients) { leave("another guard holds the place") }
}

# Leaves nothing behind, except the log of what it did to PostgreSQL. The lock's file goes while the
# lock is held; see take_place.
sub leave {
    note("exit: $_[0]");
    flush_notes();
    my ($inode) = (lstat $socket_path)[1];
    unlink $socket_path if defined $inode && defined $socket_inode && $inode == $socket_inode;
    if (defined $lock) {
        unlink $log_path, "$log_path.1", $old_log_path unless $has_fired;
        unlink $lock_path;
        rmdir $runtime;
    }
    exit 0;
}

# ---- the processes ----

sub signal_process {
    my ($pid, $process, $signal) = @_;
    return if syscall(PIDFD_SEND_SIGNAL, fileno $process, $signal, 0, 0) == 0;
    kill $signal, $pid if $!{ENOSYS}; # Linux before 5.1
}

# Signals the processes given and returns how many there were. SIGQUIT goes out once to each,
# SIGKILL every time.
sub strike {
    my ($signal, @found) = @_;
    for my $one (@found) {
        my ($pid, $process) = @$one;
        next if $signal == QUIT && $quit_sent{$pid}++;
        signal_process($pid, $process, $signal);
        note(($signal == KILL ? 'SIGKILL ' : 'SIGQUIT ') . $pid);
    }
    return scalar @found;
}

# Signals the postmaster first, so that it forks no more. Its children follow at once, without
# waiting for it to pass the signal on; then all others that are left.
sub strike_all {
    my ($signal, $thorough) = @_;
    my $count = 0;
    if (my $head = postmaster()) {
        $count += strike($signal, $head);
        $count += strike($signal, children_of($head->[0]));
    }
    return $count unless $count || $thorough;
    $last_full_scan = now_ms();
    return strike($signal, everybody());
}

# After firing: every process of the server is told to quit at once, and killed after the delay.
# Returns how long to sleep.
sub enforce {
    my $now = now_ms();
    my $killing = defined $burst_at && $now - $burst_at >= $kill_delay;
    my $thorough = defined $burst_at || $now - $last_full_scan >= FULL_SCAN;
    if (!strike_all($killing ? KILL : QUIT, $thorough)) {
        note("nothing of PostgreSQL is left") if defined $burst_at;
        undef $burst_at;
        %quit_sent = ();
        leave('it has fired, and no agent is left') if $thorough && is_alone($now);
        return FIRED_NAP;
    }
    $burst_at = $now unless defined $burst_at;
    return $now - $burst_at > BURST_PATIENT ? FIRED_NAP : BURST_NAP;
}

sub is_alone {
    my ($now) = @_;
    my $since = $fired_at > $last_company ? $fired_at : $last_company;
    return !%clients && $now - $since >= FIRED_LINGER;
}

sub fire {
    $fired_at = now_ms();
    $has_fired = 1;
    $last_full_scan = 0;
    note("FIRED: deadline $deadline has passed");
    return enforce();
}

# Before a new order is taken, the processes that it fired at must be dead: a half-stopped
# PostgreSQL must not slip through.
sub settled {
    return 1 unless defined $burst_at;
    strike_all(KILL, 1);
    return 0 if strike_all(KILL, 1);
    undef $burst_at;
    %quit_sent = ();
    return 1;
}

# ---- the conversation ----

sub answer {
    my ($line, $client) = @_;
    if ($line eq 'ping') { return "ok regent-guard 1 $$" }
    if ($line =~ /^hold (\d{1,10})$/) { return hold($1) }
    if ($line eq 'status') { return defined $fired_at ? "fired $fired_at" : defined $deadline ? "armed $deadline" : 'disarmed' }
    if ($line =~ /^arm (\d{1,15})$/) {
        my $moment = $1;
        return 'busy' unless settled();
        note('armed') unless defined $deadline && !defined $fired_at;
        ($deadline, $fired_at) = ($moment, undef);
        set_tether();
        set_alarm();
        my $now = now_ms();
        return $now + GRANULARITY > $deadline ? "late $now" : "ok armed $deadline";
    }
    if ($line eq 'disarm' || $line eq 'end') {
        return 'busy' unless settled();
        note('disarmed') if defined $deadline;
        ($deadline, $fired_at) = (undef, undef);
        set_tether();
        set_alarm();
        return $line eq 'end' ? 'ok end' : 'ok disarmed';
    }
    if ($line eq 'tether') { return tether_status() }
    if ($line =~ /^tether (\d{1,10}) (\d{1,5})$/) { return take_tether($client, $1, $2) }
    if ($line =~ /^tied (\d{1,10}) (\d{1,5})$/) { return tie_agent($1, $2) }
    if ($line eq 'untied') { return untie_agent() }
    return 'error unknown command';
}

# One agent holds the data directory for as long as its process lives, connected or not, frozen or
# not. When it is gone, the next one takes the directory over.
sub hold {
    my ($pid) = @_;
    my $start = life_of($pid);
    if (defined $holder && $holder != $pid) {
        my $alive = life_of($holder);
        return "held $holder" if defined $alive && $alive eq $holder_start;
    }
    ($holder, $holder_start) = defined $start ? ($pid, $start) : ();
    sign_lock() if defined $lock;
    return 'ok hold';
}

sub serve {
    my ($id) = @_;
    my $client = $clients{$id};
    my $got = receive($client);
    if (!defined $got) { return if $!{EAGAIN} || $!{EINTR}; farewell($id); return }
    if (!$got) { farewell($id); return }
    while ($client->{text} =~ s/^([^\n]*)\n//) {
        my $reply = answer($1, $client);
        next unless defined $reply;
        my $sent = syswrite $client->{handle}, "$reply\n";
        leave('told to') if $reply eq 'ok end' && !is_needed();
        if (!defined $sent || $reply eq 'ok end') { farewell($id); return }
    }
    farewell($id) if length $client->{text} > LINE_LIMIT;
}

# An agent's death closes its connection; one that only hangs keeps it.
sub farewell {
    delete $clients{$_[0]};
    $last_company = now_ms();
}

sub welcome {
    accept my $handle, $listener or return;
    $last_company = now_ms();
    fcntl $handle, F_SETFL, fcntl($handle, F_GETFL, 0) | O_NONBLOCK;
    $clients{fileno $handle} = { handle => $handle, text => '' };
}

sub housekeeping {
    my ($now) = @_;
    keep_place();
    $last_company = $now if %clients || (defined $deadline && !defined $fired_at && -d $data_dir);
    leave('nothing to guard and nobody to talk to') if $now - $last_company >= LONELY_EXIT && !is_needed();
    $last_housekeeping = $now;
}

sub nap_for {
    my ($now) = @_;
    return defined $fired_at ? enforce() : fire() if defined $deadline && (defined $fired_at || $now + GRANULARITY > $deadline);
    return IDLE_NAP unless defined $deadline;
    my $left = $deadline - $now - GRANULARITY + 1;
    my $most = defined $alarm ? ALARMED_NAP : ARMED_NAP;
    return $left < $most ? $left : $most;
}

sub loop {
    while (1) {
        my $nap = nap_for(my $now = now_ms());
        flush_notes() unless defined $burst_at;
        housekeeping($now) if $now - $last_housekeeping >= HOUSEKEEPING;
        my $wanted = '';
        vec($wanted, $_, 1) = 1 for fileno $listener, keys %clients;
        vec($wanted, fileno $alarm, 1) = 1 if defined $alarm;
        next if select($wanted, undef, undef, $nap / 1000) <= 0;
        for my $id (keys %clients) { serve($id) if vec $wanted, $id, 1 }
        sysread $alarm, my $expirations, 8 if defined $alarm && vec $wanted, fileno $alarm, 1;
        welcome() if vec $wanted, fileno $listener, 1;
    }
}

sub start {
    chdir '/';
    umask 077;
    sysopen $uptime, '/proc/uptime', O_RDONLY or die_with("cannot read /proc/uptime: $!");
    make_alarm();
    $SIG{PIPE} = 'IGNORE';
    # A stray signal to a process group must not remove the fence.
    for my $name (qw(HUP INT TERM)) {
        $SIG{$name} = sub { leave("SIG$name") if $name ne 'HUP' && !defined $deadline && !is_needed() };
    }
    if (!take_place()) { syswrite STDOUT, "taken\n"; exit 75 }
    listen_here() or die_with("cannot listen on $socket_path: $!");
    # A guard of an earlier version called its log by the key alone.
    rename $old_log_path, $log_path if -e $old_log_path && !-e $log_path;
    eval { setpriority 0, 0, -10 };
    if (open my $score, '>', '/proc/self/oom_score_adj') { syswrite $score, "-900\n" }
    $last_company = $last_housekeeping = now_ms();
    $0 = "regent-guard $data_dir";
    note("started, pid $$, guards $data_dir");
    syswrite STDOUT, "ready $$\n";
    open STDIN, '<', '/dev/null';
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', '/dev/null';
    loop();
}

start();
