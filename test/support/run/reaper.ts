/**
 * Runs a command as the parent of every process that the command leaves behind (PR_SET_CHILD_SUBREAPER). Orphans get
 * five seconds to end; the program then kills the rest and writes their command lines to the file that is its first
 * argument. It exits with the command's exit code.
 */
export const REAPER = String.raw`
use strict;
use POSIX ();
my ($report, @command) = @ARGV;
my %numbers = (x86_64 => 157, aarch64 => 167);
my $number = $numbers{(POSIX::uname())[4]};
syscall($number, 36, 1, 0, 0, 0) if defined $number;
my $main = fork;
die "fork: $!" unless defined $main;
if ($main == 0) { exec { $command[0] } @command; POSIX::_exit(127); }
for my $signal ("INT", "TERM") { $SIG{$signal} = sub { kill $signal, $main }; }
my $status;
while (!defined $status) {
  my $ended = wait;
  $status = $? if $ended == $main;
  last if $ended == -1 && !$!{EINTR};
}
my @left;
for (1 .. 100) {
  1 while waitpid(-1, POSIX::WNOHANG()) > 0;
  open my $children, "<", "/proc/self/task/$$/children" or last;
  @left = split " ", <$children> // "";
  last unless @left;
  select undef, undef, undef, 0.05;
}
open my $out, ">", $report or die "$report: $!";
for my $pid (@left) {
  my $line = "";
  if (open my $cmdline, "<", "/proc/$pid/cmdline") { local $/; $line = <$cmdline> // ""; }
  $line =~ s/[\0\n]+/ /g;
  print $out "$pid ", substr($line, 0, 200), "\n";
  kill "KILL", $pid;
}
close $out;
exit($status & 127 ? 128 + ($status & 127) : $status >> 8);
`;
