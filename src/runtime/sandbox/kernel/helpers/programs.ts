import { perlText } from "./program-text.ts";

type Program =
  | "attributes"
  | "boot"
  | "caller"
  | "connector"
  | "enter"
  | "holes"
  | "interceptor"
  | "overlay"
  | "readonly"
  | "seal"
  | "spawner"
  | "watcher";

/** Architectures for which `preamble.pl` has the numbers of system calls. */
export const ARCHITECTURES: readonly NodeJS.Architecture[] = ["x64", "arm64"];

const PREAMBLE = perlText("preamble");

/** Common to the programs that bring another program into a VM. */
const CONFINE = perlText("confine");
/** Common to the programs that pass sockets to the server. */
const HANDLES = perlText("handles");
const SEAL = perlText("seal");

const SHARED: { [Name in Program]?: readonly string[] } = {
  boot: [CONFINE, SEAL],
  connector: [HANDLES],
  enter: [CONFINE],
  interceptor: [HANDLES],
  seal: [CONFINE],
};

/** A helper's whole text: the architecture, the parts that it shares with others, and the program. */
export function helperSource(name: Program): string {
  const shared = [PREAMBLE, ...(SHARED[name] ?? [])].join("");
  return `our $ARCH = '${process.arch}';\n${shared}${perlText(name)}`;
}

/** The command that runs a helper's text. `-f` loads no file of the site before it. */
export function helperCommand(
  perl: string,
  source: string,
  args: readonly (string | number)[],
): [file: string, ...args: string[]] {
  return [perl, "-f", "-e", source, "--", ...args.map(String)];
}
