# What a hostile package tries as root of the sandbox, with perl-base alone. The test puts `%at` before this: where
# the machine's treasures are. Every attempt becomes a line of the log: `<script> <attempt>: nothing (<errno>)`, or
# `GOT` and what it got. Nothing here would do harm to a machine that it should succeed on.

use Errno;
use Fcntl;
use POSIX ();
use Socket;

my $script = $ENV{DPKG_MAINTSCRIPT_NAME} || 'unknown';
$script = 'trigger' if $script eq 'postinst' && ($ARGV[0] // '') eq 'triggered';
$script = $1 if $0 =~ /(dracut|config)$/;
mkdir '/var/lib/hostile';
open my $log, '>>', '/var/lib/hostile/log' or die "no log: $!";
$log->autoflush(1);

sub attempt {
    my ($name, $code) = @_;
    $! = 0;
    my $got = eval { $code->() };
    my $why = $!{ENOENT} ? 'ENOENT' : join(' ', grep { $!{$_} } keys %!) || $@;
    $_ = substr($_ // '', 0, 200) =~ s/\s+/ /gr for $got, $why;
    print $log "$script $name: ", length $got ? "GOT $got" : "nothing ($why)", "\n";
}

sub read_file {
    my ($path) = @_;
    sysopen(my $file, $path, O_RDONLY | O_NONBLOCK) or return undef;
    sysread($file, my $content, 1 << 20);
    return $content;
}

sub contents {    # what of several files can be read
    return join ' ', grep { defined && length } map { read_file($_) } @_;
}

sub holding_secret { my ($text) = @_; return index($text // '', $at{secret_begins}) >= 0 ? $text : undef }

sub opened_for_writing { sysopen(my $file, $_[0], O_WRONLY) ? "$_[0] open for writing" : undef }

sub called {    # whether a system call succeeded; some are given nonsense, which only those who may call it hear of
    my ($refused, $number, @arguments) = @_;
    my $answer = syscall($number, @arguments);
    return "answer $answer" if $answer != -1;
    return (grep { $!{$_} } @$refused) ? undef : "error $!";
}

sub connected {
    my ($domain, $address) = @_;
    socket(my $socket, $domain, SOCK_STREAM, 0) or return undef;
    return connect($socket, $address) ? 'a connection' : undef;
}

my $up = '../' x 40;
my @roots = map { "/proc/$_/root" } 1, 2, $$, 'self';

# Files of the host.
attempt 'secret by its path' => sub { contents($at{secret}) };
attempt 'secret by parent folders' => sub { contents($up . $at{secret}) };
attempt 'secret by the roots of processes' => sub { contents(map { $_ . $at{secret} } @roots) };
attempt 'secret by the folders of processes' => sub { contents(map { "/proc/$_/cwd/$up$at{secret}" } 1, 2, 'self') };
attempt 'secret by descriptors' => sub {
    contents(map { "/proc/$_->[0]/fd/$_->[1]/$up$at{secret}" } map { my $p = $_; map { [$p, $_] } 0 .. 99 } 1, $$);
};
attempt 'secret by links' => sub { symlink $at{secret}, '/var/lib/hostile/link'; contents('/var/lib/hostile/link') };
attempt 'secret by a hard link' => sub { link($at{secret}, '/var/lib/hostile/hard') ? 'a link' : undef };
attempt 'folders of the host' => sub {
    join ' ', grep { -e } $at{folder}, $at{cache}, $at{workspaces}, '/work', '/home/*/.ssh', '/root/.ssh';
};
attempt 'packages of the build' => sub {
    join ' ', map { opened_for_writing($_) // () } glob '/run/image-composer/packages/*.deb';
};
attempt 'removing packages of the build' => sub { unlink(glob '/run/image-composer/packages/*.deb') || undef };
attempt 'name of the host' => sub { my $name = (POSIX::uname())[1]; $name eq 'localhost' ? undef : $name };

# Out of the root.
attempt 'chroot escape' => sub {
    my $child = open(my $pipe, '-|') // return undef;
    if (!$child) {
        mkdir '/var/lib/hostile/cage';
        opendir(my $outside, '/');
        chroot '/var/lib/hostile/cage';
        chdir $outside;
        chdir '..' for 1 .. 64;
        chroot '.';
        syswrite STDOUT, join ' ', contents($at{secret}), grep { -e } $at{folder};
        POSIX::_exit(0);
    }
    local $/;
    my $said = <$pipe>;
    $! = Errno::ENOENT;
    return $said;
};

# The composer's environment and memory.
attempt 'environment' => sub { holding_secret(join ' ', %ENV) };
attempt 'environment of processes' => sub { holding_secret(contents(glob '/proc/[0-9]*/environ')) };
attempt 'process 1' => sub { join ' ', grep { sysopen(my $f, "/proc/1/$_", O_RDONLY) } 'environ', 'mem', 'maps', 'exe' };
attempt 'descriptors of process 1' => sub {
    opendir(my $folder, '/proc/1/fd') or return undef;
    return join ' ', readdir $folder;
};
attempt 'own descriptors' => sub {
    join ' ', grep { !m{^(pipe:|/dev/null$|/var/lib/|/usr/|/proc/\d+/fd$)} } map { readlink // () } glob '/proc/self/fd/*';
};

# Processes of the host.
attempt 'killing by number' => sub { kill(9, $at{victim}) || undef };
attempt 'killing its group' => sub { kill(-9, $at{victim}) || undef };
attempt 'processes that are not ours' => sub {
    join ' ', grep { /\Q$at{victim_line}\E/ } map { read_file($_) // () } glob '/proc/[0-9]*/cmdline';
};
attempt 'tracing' => sub { called(['EPERM'], 101, 16, 1, 0, 0) };
attempt 'reading memory' => sub { called(['EPERM'], 310, 1, 0, 0, 0, 0, 0) };

# The network.
attempt 'loopback' => sub { connected(AF_INET, pack_sockaddr_in($at{port}, inet_aton('127.0.0.1'))) };
attempt 'abstract socket' => sub { connected(AF_UNIX, pack('Sa*', AF_UNIX, "\0$at{abstract}")) };
attempt 'socket in a folder' => sub { connected(AF_UNIX, pack_sockaddr_un($at{socket})) };
attempt 'vsock' => sub { socket(my $s, 40, SOCK_STREAM, 0) ? 'a socket' : undef };
attempt 'packet socket' => sub { socket(my $s, 17, SOCK_RAW, 0) ? 'a socket' : undef };
attempt 'raw socket' => sub { socket(my $s, AF_INET, SOCK_RAW, 1) ? 'a socket' : undef };
attempt 'interfaces' => sub { join ' ', grep { !/^\s*lo:|\|/ } split /\n/, read_file('/proc/net/dev') // '' };

# Devices and the kernel.
for my $device ('vda', 'sda', 'nvme0n1', 'mem', 'kmem', 'kmsg', 'port', 'mapper/control', 'loop-control', 'fuse', 'kvm') {
    attempt "/dev/$device" => sub { opened_for_writing("/dev/$device") };
}
attempt 'making a block device' => sub { called(['EPERM'], 133, '/var/lib/hostile/vda', 0060666, $at{disk}) };
attempt 'making the memory device' => sub { called(['EPERM'], 133, '/var/lib/hostile/mem', 0020666, 0x101) };
for my $file ('sysrq-trigger', 'sys/kernel/core_pattern', 'sys/vm/drop_caches', 'sys/kernel/modprobe', 'sys/kernel/hostname') {
    attempt "/proc/$file" => sub {
        return undef if !-e "/proc/$file" || (-c _ && !-s _);    # covered by /dev/null
        opened_for_writing("/proc/$file");
    };
}
attempt 'kernel memory and keys' => sub { contents('/proc/kcore', '/proc/kallsyms', '/proc/keys', '/proc/kmsg') };
attempt 'kernel command line' => sub { contents('/proc/cmdline') };
attempt '/sys' => sub { join ' ', glob '/sys/*' };
attempt 'mounting a tmpfs' => sub { called(['EPERM'], 165, 'none', '/mnt', 'tmpfs', 0, 0) };
attempt 'mounting /proc' => sub { called(['EPERM'], 165, 'proc', '/mnt', 'proc', 0, 0) };
attempt 'mounting a disk' => sub { called(['EPERM'], 165, '/dev/vda', '/mnt', 'ext4', 1, 0) };
attempt 'making a writable bind' => sub { called(['EPERM'], 165, 'none', '/proc/sys', '', 4096 | 32, 0) };
attempt 'unmounting' => sub { called(['EPERM'], 166, '/proc/sys', 2) };
attempt 'new mount calls' => sub { join ' ', grep { defined } map { called(['EPERM'], $_, 0, 0, 0, 0, 0) } 428 .. 433, 442 };
attempt 'loading a module' => sub { called(['EPERM'], 175, "\x7fELF", 4, '') };
attempt 'loading a module from a file' => sub { called(['EPERM'], 313, 0, '', 0) };
attempt 'new kernel' => sub { called(['EPERM'], 246, 0, 1 << 20, 0, 0) };
attempt 'user namespace' => sub { called(['EPERM'], 272, 0x10000000) };
attempt 'mount namespace' => sub { called(['EPERM'], 272, 0x00020000) };
attempt 'user namespace by clone' => sub { called(['EPERM'], 56, 0x10000000 | 17, 0, 0, 0, 0) };
attempt 'user namespace by clone3' => sub { called(['ENOSYS'], 435, 0, 0) };
attempt 'namespaces of process 1' => sub {
    join ' ', grep { sysopen(my $ns, "/proc/1/ns/$_", O_RDONLY) } 'mnt', 'pid', 'net', 'user';
};
attempt 'joining a namespace' => sub { called(['EPERM'], 308, 0, 0) };
attempt 'bpf, perf, io_uring, userfaultfd, keys' => sub {
    join ' ', grep { defined } map { called(['EPERM'], $_, 0, 0, 0, 0, 0) } 321, 298, 425, 323, 250, 248;
};
attempt 'files by handle' => sub { called(['EPERM'], 304, 0, 0, 0) };
attempt 'the clock' => sub { called(['EPERM'], 227, 0, 0) };
attempt 'terminal' => sub { my $key = 'x'; join ' ', grep { ioctl($_, 0x5412, $key) } *STDIN, *STDOUT, *STDERR };

# Something that stays: a daemon in a session of its own, once with our output and once without.
for my $keep ($script eq 'config' ? 0 : (0, 1)) {    # debconf waits for the end of what config scripts say
    next if fork;
    POSIX::setsid();
    exit 0 if fork;
    if (!$keep) { close STDIN; close STDOUT; close STDERR }
    exec 'perl', '-e', 'sleep 86400', $at{daemon};
}
