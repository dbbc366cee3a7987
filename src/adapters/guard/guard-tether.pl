# Third part of guard.pl: the tether, by which the kernel stops PostgreSQL when guard and agent are
# killed together.
#
# The tether is a pipe that no process ever writes to. tether.pl makes it, hands both ends over, and
# becomes the postmaster, which keeps the reading end. Guard and agent both hold the writing end.
# When the last writer is gone, the kernel sends SIGQUIT to the postmaster, if the reading end asks
# for it (O_ASYNC). It asks while the guard is armed: a standby, and a primary in a pause, outlive
# both.
#
# The flag belongs to the open pipe, not to a process: the guard sets it, and it stays after the
# guard is dead. A guard that has replaced another one may not get at the reading end. It then
# cannot take the flag back, and stays for as long as that postmaster runs.

use constant {
    PIDFD_OPEN => 434, PIDFD_GETFD => 438,    # the same numbers on every architecture
    MSG_CMSG_CLOEXEC => 0x40000000, SOL_SOCKET => 1, SCM_RIGHTS => 1,
    RECEIVE_BYTES => 512, CONTROL_BYTES => 24,
};

# pid, start and fd are the postmaster's. reader and writer are the ends, where they are held. tied:
# the agent holds the writing end. launcher: the client that waits for that.
my %tether;

# Reads what has come, descriptors included, into the client. What sysread returns.
sub receive {
    my ($client) = @_;
    my ($machine) = $Config{archname} =~ /^([^-]+)/;
    my $number = { x86_64 => 47, aarch64 => 212, riscv64 => 212 }->{$machine};
    return sysread $client->{handle}, $client->{text}, RECEIVE_BYTES, length $client->{text} unless $number;
    vec(my $bytes, RECEIVE_BYTES - 1, 8) = 0;
    vec(my $control, CONTROL_BYTES - 1, 8) = 0;
    my $parts = pack 'P J', $bytes, RECEIVE_BYTES;
    my $message = pack 'J L x4 P J P J i x4', 0, 0, $parts, 1, $control, CONTROL_BYTES, 0;
    my $got = syscall $number, fileno $client->{handle}, $message, MSG_CMSG_CLOEXEC;
    return undef if $got < 0;
    my $filled = (unpack 'J L x4 J J J J', $message)[5];
    my ($length, $level, $type, @fds) = unpack 'J i i i*', substr $control, 0, $filled;
    # Kept for the one line that they came with.
    $client->{ends} = [map { as_handle($_) } @fds] if @fds && $level == SOL_SOCKET && $type == SCM_RIGHTS;
    $client->{text} .= substr $bytes, 0, $got;
    return $got;
}

sub as_handle {
    my ($fd) = @_;
    open my $handle, '<&=', $fd or return undef;
    return $handle;
}

# The launcher is not answered before the agent has tied itself: from then on PostgreSQL may begin.
sub take_tether {
    my ($client, $pid, $fd) = @_;
    my ($reader, $writer) = @{ delete $client->{ends} || [] };
    my $start = life_of($pid);
    return 'error no pipe came with it' unless $reader && $writer && -p $reader && -p $writer && defined $start;
    %tether = (pid => $pid, start => $start, fd => $fd, reader => $reader, writer => $writer, launcher => $client);
    return undef;
}

sub tether_status {
    forget_tether();
    return defined $tether{pid} ? "tether $tether{pid} $tether{fd} " . (is_pulling() && is_at_server() ? 'on' : 'off') : 'untethered';
}

# The agent holds the writing end too. A guard that has replaced another one learns here where the
# tether is.
sub tie_agent {
    my ($pid, $fd) = @_;
    forget_tether();
    my $known = defined $tether{pid} && $tether{pid} == $pid;
    return 'untethered' unless $known || find_tether($pid, $fd);
    $tether{tied} = 1;
    # The orders to the guard before stand until the agent has said what this one must do.
    set_tether() if $known;
    if (my $launcher = delete $tether{launcher}) { syswrite $launcher->{handle}, "ok tether\n" }
    return 'ok tied';
}

sub untie_agent {
    $tether{tied} = 0;
    set_tether();
    return 'ok untied';
}

sub find_tether {
    my ($pid, $fd) = @_;
    my $start = life_of($pid);
    sysopen my $writer, "/proc/$pid/fd/$fd", O_WRONLY | O_NONBLOCK or return 0;
    return 0 unless defined $start && -p $writer;
    my $reader = reading_end($pid, $fd);
    note("the tether of postmaster $pid cannot be let go by this guard: it stays until PostgreSQL ends") unless $reader;
    %tether = (pid => $pid, start => $start, fd => $fd, reader => $reader, writer => $writer);
    return 1;
}

# That very one, where the kernel lets us: opened through /proc it would be another.
sub reading_end {
    my ($pid, $fd) = @_;
    my $process = syscall PIDFD_OPEN, $pid + 0, 0;
    return undef if $process < 0;
    my $held = as_handle($process);
    my $got = syscall PIDFD_GETFD, $process, $fd + 0, 0;
    my $reader = $got < 0 ? undef : as_handle($got);
    return $reader && -p $reader ? $reader : undef;
}

# Without the reading end it cannot be told, and either answer must be reckoned with.
sub is_pulling {
    return 0 unless defined $tether{pid};
    return !$tether{reader} || (fcntl($tether{reader}, F_GETFL, 0) & O_ASYNC) != 0;
}

# The tethered process is the postmaster, and has kept its end. Otherwise a program in PostgreSQL's
# place has started it as a child, or has closed a descriptor that it does not know.
sub is_at_server {
    my %written = pid_file();
    return 0 unless defined $written{pid} && $written{pid} == $tether{pid};
    my @there = stat "/proc/$tether{pid}/fd/$tether{fd}" or return $!{EACCES} || $!{EPERM};
    return $there[1] == (stat $tether{writer})[1];
}

# Keeps the flag in step with the deadline. The reading end was given the postmaster as its owner by
# tether.pl.
sub set_tether {
    return unless $tether{reader};
    my $wanted = defined $deadline && $tether{tied};
    my $flags = fcntl $tether{reader}, F_GETFL, 0;
    fcntl $tether{reader}, F_SETFL, $wanted ? $flags | O_ASYNC : $flags & ~O_ASYNC;
}

sub forget_tether {
    return unless defined $tether{pid};
    my $start = life_of($tether{pid});
    %tether = () unless defined $start && $start == $tether{start};
}

# PostgreSQL would end with this process.
sub is_needed {
    forget_tether();
    return defined $tether{pid} && !$tether{reader};
}
