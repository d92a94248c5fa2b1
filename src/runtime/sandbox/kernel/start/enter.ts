import type { Tools } from "../tools.ts";

/** What stands before a program after nsenter's name: enter all namespaces, drop all privileges. */
export function enterArguments(initPid: number, tools: Tools): string[] {
  return [
    ...["--target", String(initPid), "--user", "--preserve-credentials"],
    ...["--mount", "--pid", "--net", "--ipc", "--uts", "--"],
    ...[tools.setpriv, "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--"],
  ];
}
