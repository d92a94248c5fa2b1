import { posix } from "node:path";

type Entry =
  | { kind: "directory"; mode: string }
  | { kind: "file"; mode: string; content: string }
  | { kind: "link"; target: string };

/** A mount of a boot; `boot.pl` says what each kind is. */
export interface PlannedMount {
  kind: "folder" | "layers" | "below" | "device" | "terminals" | "processes";
  /** Path in the VM. */
  path: string;
  what?: string;
  more?: string;
}

/** The files of a VM's root before its boot mounts anything. A boot makes them in the order in which they were added. */
export class PlannedTree {
  readonly #entries = new Map<string, Entry>();

  /** Adds a directory and those above it. @param mode octal digits, unless it is 755 */
  directory(path: string, mode = ""): void {
    const at = posix.join("/", path);
    const kind = this.kindOf(at);
    if (at === "/" || (mode === "" && kind === "directory")) return;
    if (kind === "link" || kind === "file") throw new Error(`${at} is a ${kind} of every VM`);
    this.directory(posix.dirname(at));
    this.#entries.set(at, { kind: "directory", mode });
  }

  /** Adds a file. @param mode octal digits, unless it is 644 */
  file(path: string, content = "", mode = ""): void {
    this.#add(path, { kind: "file", mode, content });
  }

  link(path: string, target: string): void {
    this.#add(path, { kind: "link", target });
  }

  kindOf(path: string): Entry["kind"] | undefined {
    return this.#entries.get(posix.join("/", path))?.kind;
  }

  #add(path: string, entry: Entry): void {
    const at = posix.join("/", path);
    if (this.kindOf(at) === "directory") throw new Error(`${at} is a directory of every VM`);
    this.directory(posix.dirname(at));
    this.#entries.set(at, entry);
  }

  /** The text of the plan for `boot.pl`. */
  encode(mounts: readonly PlannedMount[]): Buffer {
    const records = [...this.#entries].map(([path, entry]) => {
      if (entry.kind === "link") return [entry.kind, path, entry.target, ""];
      return [entry.kind, path, entry.mode, entry.kind === "file" ? entry.content : ""];
    });
    const mounted = mounts.map(({ kind, path, what = "", more = "" }) => [kind, path, what, more]);
    return Buffer.concat([...records, ...mounted].flat().map(counted));
  }
}

function counted(text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes.length);
  return Buffer.concat([head, bytes]);
}
