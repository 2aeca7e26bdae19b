# Signals every thread of its parent's process in the way that is named, with a signal that nobody heeds. Says what came
# of each: "sent", or why not.

use strict;
use warnings;
use Errno;
use Fcntl;
use Socket;

my ($way, $number) = @ARGV;
my $signal = 23;    # SIGURG
# SI_QUEUE, from this process.
my $info = pack("iiiiii x104", $signal, 0, -1, 0, $$, $<);
my $process = getppid();
socketpair(my $socket, my $peer, AF_UNIX, SOCK_STREAM, 0) or die "socketpair: $!";

# A program of 32 bits: kill(thread, signal), then exit with the number of the error.
sub narrow {
    my ($thread) = @_;
    my $base = 0x08048000;
    my $code = pack("C L< C L< C L< C2 C2 C2 C L< C2", 0xb8, $number, 0xbb, $thread, 0xb9, $signal, 0xcd, 0x80,
        0xf7, 0xd8, 0x89, 0xc3, 0xb8, 1, 0xcd, 0x80);
    my $size = 84 + length $code;
    my $head = "\x7fELF\x01\x01\x01" . "\0" x 9
        . pack("S<2 L<5 S<6", 2, 3, 1, $base + 84, 52, 0, 0, 52, 32, 1, 40, 0, 0)
        . pack("L<8", 1, 0, $base, $base, $size, $size, 5, 4096);
    my $path = "$ENV{SCRATCH}/narrow";
    open(my $file, ">:raw", $path) or die "$path: $!";
    print $file $head . $code;
    close($file);
    chmod(0755, $path);
    my $ended = system($path);
    unlink($path);
    if ($ended == -1 or $ended & 127) {
        print "no programs of 32 bits: $ended\n";
        exit;
    }
    $! = $ended >> 8;
    return $ended == 0;
}

my %ways = (
    first  => sub { syscall($number, $_[0], $signal, 0) == 0 },
    # As a program may pass it: only the low half is a number of a thread.
    high   => sub { syscall($number, $_[0] | 7 << 32, $signal, 0) == 0 },
    second => sub { syscall($number, $process, $_[0], $signal) == 0 },
    queue  => sub { syscall($number, $_[0], $signal, $info) == 0 },
    queue_second => sub { syscall($number, $process, $_[0], $signal, $info) == 0 },
    # With PIDFD_THREAD.
    pidfd  => sub { syscall($number, $_[0], 0x80) >= 0 },
    folder => sub {
        sysopen(my $folder, "/proc/$_[0]", O_RDONLY | O_DIRECTORY) or return;
        return syscall($number, fileno($folder), $signal, 0, 0) == 0;
    },
    setown => sub { fcntl($socket, 8, $_[0] + 0) },
    setown_ex => sub { fcntl($socket, 15, pack("ii", 0, $_[0])) },
    ioctl  => sub { ioctl($socket, $number + 0, pack("i", $_[0])) },
    narrow => \&narrow,
);

$| = 1;
$number += 0 if defined $number;
for my $thread (map { m{(\d+)$} } glob("/proc/$process/task/*")) {
    my $sent = $ways{$way}->($thread + 0);
    # Threads of other tests end at any time.
    next if not $sent and ($!{ENOENT} or $!{ESRCH});
    print $sent ? "sent\n" : "$!\n";
}
