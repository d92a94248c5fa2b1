import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { NODE_FOLDER } from "../../sandbox/sandbox.ts";
import type { AgentDefinition, Installation } from "./agent.ts";

/** Where VMs see the packages of an agent. */
export function mountPoint(agent: string): string {
  return `${NODE_FOLDER}/agents/${agent}/node_modules`;
}

/** A folder `node_modules` of the host, as it is inside its VMs. */
export class PackageFolder implements Installation {
  readonly #host: string;
  readonly #inside: string;

  constructor(host: string, inside: string) {
    this.#host = host;
    this.#inside = inside;
  }

  file(path: string): string | undefined {
    return this.#resolve(path) === undefined ? undefined : join(this.#inside, path);
  }

  program(packageName: string, program: string): string {
    const { bin } = this.#manifest(packageName) ?? {};
    const path = typeof bin === "string" ? bin : bin?.[program];
    if (path === undefined) throw new Error(`${packageName} has no program ${program}`);
    return join(this.#inside, packageName, path);
  }

  /** The version of an agent; or why it cannot be started. */
  look({ packages, needsOneOf }: AgentDefinition): { version: string } | { missing: string } {
    for (const { name } of packages) {
      if (this.#manifest(name) === undefined)
        return { missing: `the package ${name} is not in ${this.#host}` };
    }
    const needed = needsOneOf?.() ?? [];
    if (needed.length > 0 && !needed.some((path) => this.file(path) !== undefined)) {
      return { missing: `${this.#host} has none of ${needed.join(", ")}` };
    }
    return { version: this.#manifest(packages[0].name)?.version ?? "unknown" };
  }

  #manifest(name: string): { version?: string; bin?: string | Record<string, string> } | undefined {
    const path = this.#resolve(join(name, "package.json"));
    if (path === undefined) return undefined;
    try {
      return JSON.parse(readFileSync(path, "utf8"));
    } catch {
      // Half installed, or unreadable for the server.
      return undefined;
    }
  }

  /** Links that lead out of the folder lead nowhere inside a VM. */
  #resolve(path: string): string | undefined {
    try {
      const found = realpathSync(join(this.#host, path));
      return relative(this.#host, found).startsWith("..") ? undefined : found;
    } catch {
      return undefined;
    }
  }
}

/** The nearest `node_modules` with a package, of the server's program or its working directory. */
export function nearestFolder(packageName: string): string | undefined {
  const program = process.argv[1];
  const starts = [program === undefined ? undefined : realOrSame(program), join(process.cwd(), "_")];
  for (const start of starts) {
    for (
      let at = start && dirname(start);
      at !== undefined;
      at = dirname(at) === at ? undefined : dirname(at)
    ) {
      const folder = join(at, "node_modules");
      if (existsSync(join(folder, packageName, "package.json"))) return folder;
    }
  }
  return undefined;
}

/** @returns its true path; `undefined` where there is no such folder. */
export function realFolder(path: string): string | undefined {
  return existsSync(path) ? realpathSync(path) : undefined;
}

function realOrSame(path: string): string {
  return existsSync(path) ? realpathSync(path) : path;
}
