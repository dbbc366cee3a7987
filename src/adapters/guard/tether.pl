#!/usr/bin/perl
# Becomes PostgreSQL, tethered: the kernel sends it SIGQUIT when guard and agent are both gone.
#
# Usage: tether.pl <socket of the guard> [PERL...=<value>]... <program> <argument>...
#
# It makes a pipe whose reading end signals this process, and gives both ends to the guard. It waits
# until guard and agent hold the writing end. Then it executes the program, which keeps the reading
# end. guard-tether.pl says how the pipe is used. Where this fails, PostgreSQL starts without it:
# the agent sees that it is not tethered, and says so.
use strict;
use Config;
use Fcntl qw(F_SETFD F_SETOWN);
use Socket qw(AF_UNIX SOCK_STREAM pack_sockaddr_un);

use constant { F_SETSIG => 10, QUIT => 3, PATIENCE => 2, SOL_SOCKET => 1, SCM_RIGHTS => 1 };

my ($reader, $writer);

sub tether {
    my ($socket) = @_;
    my ($machine) = $Config{archname} =~ /^([^-]+)/;
    my $number = { x86_64 => 46, aarch64 => 211, riscv64 => 211 }->{$machine} or return;
    pipe $reader, $writer or return;
    fcntl $reader, F_SETOWN, $$ + 0 or return;
    fcntl $reader, F_SETSIG, QUIT or return;
    fcntl $reader, F_SETFD, 0 or return;
    socket my $guard, AF_UNIX, SOCK_STREAM, 0 or return;
    connect $guard, pack_sockaddr_un($socket) or return;
    my $line = "tether $$ " . fileno($reader) . "\n";
    my $control = pack 'J i i i i', 24, SOL_SOCKET, SCM_RIGHTS, fileno $reader, fileno $writer;
    my $parts = pack 'P J', $line, length $line;
    my $message = pack 'J L x4 P J P J i x4', 0, 0, $parts, 1, $control, length $control, 0;
    return if syscall($number, fileno $guard, $message, 0) != length $line;
    sysread $guard, my $answer, 100;
}

my $socket = shift;
# Variables that were kept from this program; they are meant for PostgreSQL's functions in Perl.
delete $ENV{PERL_BADLANG};
while (@ARGV && $ARGV[0] =~ /^(PERL\w*)=(.*)/s) { $ENV{$1} = $2; shift }
eval {
    local $SIG{ALRM} = sub { die "no answer\n" };
    alarm PATIENCE;
    tether($socket);
    alarm 0;
};
alarm 0;
exec { $ARGV[0] } @ARGV;
print STDERR "could not execute $ARGV[0]: $!\n";
exit 127;
