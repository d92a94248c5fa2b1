import { ARCHITECTURES, type FilteredArch, numberOf } from "../../system-calls.ts";
import { perlText } from "./program-text.ts";

type Program =
  | "attributes"
  | "boot"
  | "caller"
  | "connector"
  | "enter"
  | "gateway"
  | "holes"
  | "interceptor"
  | "launcher"
  | "mounter"
  | "overlay"
  | "readonly"
  | "seal"
  | "spawner"
  | "watcher";

const PREAMBLE = perlText("preamble");

const BENEATH = perlText("beneath");
const CONFINE = perlText("confine");
const HANDLES = perlText("handles");
const NETLINK = perlText("netlink");
const SEAL = perlText("seal");
const SPEECH = perlText("speech");

/** Parts that a program shares with others. A program without use for a part starts faster without it. */
const SHARED: Record<Program, readonly string[]> = {
  attributes: [BENEATH, SPEECH],
  boot: [CONFINE, SEAL],
  caller: [SPEECH],
  connector: [CONFINE, SPEECH, HANDLES],
  enter: [CONFINE],
  gateway: [SPEECH, HANDLES, NETLINK],
  holes: [SPEECH],
  interceptor: [SPEECH, HANDLES, NETLINK],
  launcher: [SPEECH],
  mounter: [BENEATH, SPEECH],
  overlay: [SPEECH],
  readonly: [],
  seal: [CONFINE],
  spawner: [SPEECH],
  watcher: [BENEATH, SPEECH],
};

/** A helper's whole text, without comments: the architecture, the parts that it shares with others, and the program. */
export function helperSource(name: Program): string {
  return withPreamble(partsOf(name));
}

/** Programs that a fork of the launcher becomes without exec. A boot and `enter` become the spawner. */
const LAUNCHED = ["boot", "enter", "spawner", "connector"] as const;

/** Text of the launcher with the programs that it has compiled. The subs of each are in a package of their own. */
export function launcherSource(): string {
  const programs = LAUNCHED.map((name) => `sub run_${name} { package Of_${name};\n${partsOf(name)}\n}\n`);
  return withPreamble([partsOf("launcher"), ...programs].join("\n"));
}

const partsOf = (name: Program): string => [...SHARED[name], perlText(name)].join("");

function withPreamble(text: string): string {
  const whole = (PREAMBLE + text).replace(/^ *#.*\n/gm, "");
  return `our $ARCH = '${process.arch}';\nmy %SYS = (${numbersIn(whole)});\n${whole}`;
}

/** Lists the numbers of the system calls that a text names. */
function numbersIn(text: string): string {
  const arch = ARCHITECTURES.find((known) => known === process.arch);
  const names = new Set(Array.from(text.matchAll(/\$SYS\{(\w+)\}/g), ([, name = ""]) => name));
  return Array.from(names, (name) => `${name} => ${arch && systemCall(name, arch)}`).join(", ");
}

function systemCall(name: string, arch: FilteredArch): number {
  const number = numberOf(name, arch);
  if (number === undefined) throw new Error(`system-calls.ts does not have ${name} on ${arch}`);
  return number;
}

/** The command that runs a helper's text. `-f` loads no file of the site before it. */
export function helperCommand(
  perl: string,
  source: string,
  args: readonly (string | number)[],
): [file: string, ...args: string[]] {
  return [perl, "-f", "-e", source, "--", ...args.map(String)];
}
