import { readFileSync } from "node:fs";
import { quote } from "../../shell-word.ts";
import type { SyscallNumbers } from "./arch.ts";
import type { Entry } from "./command.ts";

/*
 * Two ways into a VM. Both join its cgroup before they enter, so that whatever is forked inside is counted, and the
 * server never moves a process, which could be another by then; both give up new privileges on the host, so that no
 * program of the VM's, nor a library that its user has put before one, ever runs without that.
 */

const PROGRAM = readFileSync(new URL("./enter.pl", import.meta.url), "utf8");

/** A program inside, started by perl: its parent outside cannot be stopped from inside. */
export function enterByPerl(
  { initPid, owner, openFiles, cgroupProcs }: Entry,
  numbers: SyscallNumbers,
  perl: string,
  program: readonly string[],
): [file: string, ...args: string[]] {
  const { setns, prctl, setgroups, setresgid, setresuid, prlimit64, setsid } = numbers;
  const settings = [
    ...[initPid, owner?.uid ?? -1, owner?.gid ?? -1, openFiles],
    ...[setns, prctl, setgroups, setresgid, setresuid, prlimit64, setsid],
    cgroupProcs.length,
  ];
  // -f: nothing of the site's own before the program.
  return [perl, "-f", "-e", PROGRAM, "--", ...settings.map(String), ...cgroupProcs, ...program];
}

/** The same by util-linux. The kernel takes nsenter's capabilities over the VM when it becomes the program. */
export function enterByNsenter(
  { initPid, owner, cgroupProcs, tools }: Entry,
  program: readonly string[],
): [file: string, ...args: string[]] {
  const drop =
    owner === null ? [] : ["--reuid", String(owner.uid), "--regid", String(owner.gid), "--clear-groups"];
  const enter: [string, ...string[]] = [
    ...([tools.setpriv, ...drop, "--no-new-privs", "--"] as [string, ...string[]]),
    ...[tools.nsenter, "--target", String(initPid), "--user", "--preserve-credentials"],
    ...["--mount", "--pid", "--net", "--ipc", "--uts", "--", ...program],
  ];
  if (cgroupProcs.length === 0) return enter;
  const join = cgroupProcs.map((path) => `echo 0 > ${quote(path)}`).join(" && ");
  return [tools.sh, "-c", `${join} && exec "$@"`, "join", ...enter];
}
