import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { NODE_FOLDER } from "../../sandbox/vm-layout.ts";
import type { AgentDefinition, Installation } from "./agent.ts";

/** Path inside VMs of an agent's `node_modules`. */
export function mountPoint(agent: string): string {
  return `${NODE_FOLDER}/agents/${agent}/node_modules`;
}

/** A folder `node_modules` of the host and its path inside VMs. */
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
    if (path === undefined)
      throw new Error(`The package ${packageName} has no program ${program}. Install its tested version.`);
    return join(this.#inside, packageName, path);
  }

  /** Version of an agent, or the reason that it cannot start. */
  inspect({ packages, needsOneOf }: AgentDefinition): { version: string } | { missing: string } {
    for (const { name } of packages) {
      if (this.#manifest(name) === undefined)
        return { missing: `the package ${name} is not in ${this.#host}` };
    }
    const needed = needsOneOf?.() ?? [];
    if (needed.length > 0 && !needed.some((path) => this.file(path) !== undefined)) {
      return { missing: `${this.#host} contains none of ${needed.join(", ")}` };
    }
    return { version: this.#manifest(packages[0].name)?.version ?? "unknown" };
  }

  #manifest(name: string): { version?: string; bin?: string | Record<string, string> } | undefined {
    const path = this.#resolve(join(name, "package.json"));
    if (path === undefined) return undefined;
    try {
      return JSON.parse(readFileSync(path, "utf8"));
    } catch {
      // The package is half installed, or the server may not read it.
      return undefined;
    }
  }

  /** Real path on the host; `undefined` if a symbolic link leads out of the folder, which a VM does not see. */
  #resolve(path: string): string | undefined {
    try {
      const found = realpathSync(join(this.#host, path));
      return relative(this.#host, found).startsWith("..") ? undefined : found;
    } catch {
      return undefined;
    }
  }
}

/** Finds the nearest `node_modules` with a package, above the server's program or else its working directory. */
export function nearestFolder(packageName: string): string | undefined {
  const program = process.argv[1];
  const starts = [program && (realFolder(program) ?? program), join(process.cwd(), "_")];
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

/** Path without symbolic links; `undefined` if it does not exist. */
export function realFolder(path: string): string | undefined {
  return existsSync(path) ? realpathSync(path) : undefined;
}
