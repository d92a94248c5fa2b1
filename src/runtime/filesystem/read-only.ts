import type { AgentVmError } from "../../api/errors.ts";
import type { FileSystem } from "../sandbox/files.ts";

const CHANGES: readonly (keyof FileSystem)[] = [
  ...(["writeFile", "openWriter", "mkdir", "rmdir", "removeTree", "unlink"] as const),
  ...(["rename", "symlink", "chmod", "utimes"] as const),
];

/** Returns a view of files whose methods for changes throw an error. */
export function readOnlyFiles(files: FileSystem, error: AgentVmError): FileSystem {
  const refuse = () => Promise.reject(error);
  const refused = new Map<PropertyKey, () => Promise<never>>(CHANGES.map((name) => [name, refuse]));
  return new Proxy(files, {
    get(target, name) {
      const method = refused.get(name);
      if (method !== undefined) return method;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
