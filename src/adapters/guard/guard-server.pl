# Second part of guard.pl: tells which processes belong to the server of the data directory, by the
# same rules as adapters/postgres/server-process.ts.

# A handle on the process if it belongs to the server of this data directory, undef otherwise. The
# handle names this very process: a recycled pid cannot be hit through it. Every postmaster and
# backend is at work in the data directory. Four signs tell it from a shell or an archive_command
# there, whatever its program is called. They are: the program's name; postmaster.pid with its pid
# and moment of start; PostgreSQL's title of its children; the shared memory segment that
# postmaster.pid names. The checks that a hanging process can delay (title, memory) come last.
sub ours {
    my ($pid) = @_;
    sysopen my $process, "/proc/$pid", O_RDONLY | O_DIRECTORY or return undef;
    my $base = '/proc/self/fd/' . fileno $process;
    my @home = stat $data_dir or return undef;
    if (my @cwd = stat "$base/cwd") {
        return undef unless $cwd[0] == $home[0] && $cwd[1] == $home[1];
        return $process if is_program(readlink "$base/exe");
        my %written = pid_file();
        return $process if started_with($base, $pid, \%written) || has_title($base) || is_attached($base, $written{segment});
        return undef;
    }
    # A program with capabilities of its own shows its directory to root alone; it and its children
    # are known by postmaster.pid.
    return undef unless $!{EACCES} || $!{EPERM};
    my %written = pid_file() or return undef;
    return $process if $written{pid} == $pid && (started_with($base, $pid, \%written) || grep { $_ eq $data_dir } split /\0/, content("$base/cmdline"));
    return $process if (stat_fields($base))[1] == $written{pid} && has_title($base) && ours($written{pid});
    return undef;
}

sub is_program {
    my ($exe) = @_;
    return defined $exe && $exe =~ m{([^/]+?)(?: \(deleted\))?$} && $exe_names{$1};
}

sub content {
    my ($path) = @_;
    sysopen my $file, $path, O_RDONLY or return '';
    my $text = '';
    1 while sysread $file, $text, 65_536, length $text;
    return $text;
}

# From the state on; the program's name before it may hold anything.
sub stat_fields {
    my ($base) = @_;
    my $text = content("$base/stat");
    $text =~ s/^.*\)\s//s;
    return ((split ' ', $text), ('') x 20);
}

sub pid_file {
    my @lines = split /\n/, content("$data_dir/postmaster.pid");
    return unless @lines && $lines[0] =~ /^-?(\d+)/ && $1 > 1;
    my %written = (pid => $1);
    $written{start} = $1 if defined $lines[2] && $lines[2] =~ /^(\d+)/;
    $written{segment} = $1 if defined $lines[6] && $lines[6] =~ /^\s*\d+\s+(\d+)/;
    return %written;
}

# Both are whole seconds of the clock as it is set now.
sub started_with {
    my ($base, $pid, $written) = @_;
    return 0 unless defined $written->{start} && $written->{pid} == $pid;
    my $ticks = (stat_fields($base))[19];
    return 0 unless $ticks && content('/proc/stat') =~ /^btime (\d+)/m;
    return abs($1 + $ticks / 100 - $written->{start}) <= START_SLACK;
}

sub has_title { return content("$_[0]/cmdline") =~ /^postgres: / }

# The kernel shows a segment's id as the inode of its mapping.
sub is_attached {
    my ($base, $segment) = @_;
    return defined $segment && content("$base/maps") =~ m{ \Q$segment\E\s+/SYSV}m;
}

# The postmaster named by postmaster.pid (single-user mode writes the pid with a minus sign),
# verified.
sub postmaster {
    sysopen my $file, "$data_dir/postmaster.pid", O_RDONLY or return;
    sysread $file, my $text, 32;
    my ($pid) = $text =~ /^-?(\d+)/ or return;
    return if $pid <= 1 || $pid == $$;
    my $process = ours($pid);
    return [$pid, $process] if $process;
    note("postmaster.pid names $pid, which is not a postgres of $data_dir: left alone") if -d "/proc/$pid" && !$foreign_logged{$pid}++;
    return;
}

sub children_of {
    my ($pid) = @_;
    sysopen my $file, "/proc/$pid/task/$pid/children", O_RDONLY or return;
    my $text = '';
    1 while sysread $file, $text, 16_384, length $text;
    return map { my $process = ours($_); $process ? [$_, $process] : () } split ' ', $text;
}

sub everybody {
    opendir my $proc, '/proc' or return;
    return map { my $process = /^\d+$/ && ours($_); $process ? [$_, $process] : () } readdir $proc;
}

# When it started, in ticks since the boot; undef: it is gone, or only its remains are left.
sub life_of {
    my ($pid) = @_;
    my @fields = stat_fields("/proc/$pid");
    return $fields[0] =~ /^[ZXx]?$/ ? undef : $fields[19];
}
