# Lists the parts of an open file that have data. Its descriptor is 3, and the arguments are an offset, the most parts to
# list, and the length of the shortest hole: a shorter hole counts as data.
#
# Writes "h" 0 PARTS: for each part its start and its end, in 64 bits. Ends by itself.

my ($from, $most, $shortest) = map { int } @ARGV;
my ($SEEK_DATA, $SEEK_HOLE) = (3, 4);
my $ENXIO = 6;

$0 = 'agentos-holes';
binmode STDOUT;
open(my $file, '<&=', 3) or break_off();

my @parts;
while (1) {
  my $start = sysseek($file, $from, $SEEK_DATA);
  break_off() unless defined $start || $! == $ENXIO;
  last unless defined $start;
  my $end = sysseek($file, $start + 0, $SEEK_HOLE);
  last unless defined $end;
  if (@parts && $start - $parts[-1] < $shortest) { $parts[-1] = $end + 0; }
  elsif (@parts >= 2 * $most) { last; }
  else { push @parts, $start + 0, $end + 0; }
  $from = $end + 0;
}
send_frame(\*STDOUT, 'h', 0, pack('Q>*', @parts));
