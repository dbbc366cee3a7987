#!/usr/bin/perl
# Becomes the program, after what Node cannot do for itself.
#
# Usage: launch.pl <program> <argument>...
#
# NOTIFY_SOCKET: Node has no datagram sockets of the Unix domain. The socket is opened here, and the
# program writes to the descriptor that REGENT_NOTIFY_FD names. The process stays the same, so the
# messages come from systemd's main process (NotifyAccess=main).
#
# Process 1 must wait for every orphan of its container, and gets no signal that it does not handle.
# So the program runs as its child: signals are passed on, orphans reaped, and its end is our end.
use strict;
use Fcntl qw(F_GETFL F_SETFD F_SETFL O_NONBLOCK);
use POSIX qw(:signal_h :sys_wait_h);
use Socket qw(AF_UNIX SOCK_DGRAM pack_sockaddr_un);

use constant { CANNOT_EXECUTE => 127, BY_SIGNAL => 128 };
my @passed_on = qw(HUP INT QUIT USR1 USR2 ABRT TERM);

# A full queue of systemd must not stop the program, so the socket does not block.
sub open_notify_socket {
    my $path = delete $ENV{NOTIFY_SOCKET} // return;
    if ($path !~ m{^[/\@].}) { return complain("NOTIFY_SOCKET=$path is neither a path nor an abstract name") }
    $path =~ s/^\@/\0/;
    my $socket;
    socket($socket, AF_UNIX, SOCK_DGRAM, 0)
        && connect($socket, pack_sockaddr_un($path))
        && fcntl($socket, F_SETFL, fcntl($socket, F_GETFL, 0) | O_NONBLOCK)
        && fcntl($socket, F_SETFD, 0)
        or return complain("the socket that NOTIFY_SOCKET names cannot be used: $!");
    $ENV{REGENT_NOTIFY_FD} = fileno $socket;
    return $socket;
}

sub complain { print STDERR "regent: $_[0]; systemd is told nothing\n"; return }

sub become {
    exec { $ARGV[0] } @ARGV;
    print STDERR "regent: could not execute $ARGV[0]: $!\n";
    POSIX::_exit(CANNOT_EXECUTE);
}

# Returns the exit code. All signals stay blocked except while nothing is left to do, so none is
# missed between two looks.
sub stand_in_for_init {
    my ($all, $before) = (POSIX::SigSet->new, POSIX::SigSet->new);
    $all->fillset;
    sigprocmask(SIG_BLOCK, $all, $before);
    my $watchdog = ($ENV{WATCHDOG_PID} // '') eq $$;
    my $child = fork // die "regent: could not fork: $!\n";
    if ($child == 0) {
        $ENV{WATCHDOG_PID} = $$ if $watchdog;
        sigprocmask(SIG_SETMASK, $before);
        become();
    }
    $SIG{CHLD} = sub { };
    for my $name (@passed_on) { $SIG{$name} = sub { kill $name, $child } }
    my $none = POSIX::SigSet->new;
    while (1) {
        while ((my $pid = waitpid -1, WNOHANG) > 0) {
            next if $pid != $child;
            return WIFSIGNALED($?) ? BY_SIGNAL + WTERMSIG($?) : WEXITSTATUS($?);
        }
        sigsuspend($none);
    }
}

my $socket = open_notify_socket();
exit stand_in_for_init() if $$ == 1;
become();
