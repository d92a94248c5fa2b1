import { MORE_NAMESPACES, refusals, TOO_SLOW } from "./remedies.ts";

/** Causes of a failed trial VM by the text of its error, the first that matches. */
const CAUSES: readonly (readonly [pattern: RegExp, remedies: (message: string) => string[]])[] = [
  [/(unshare|namespaces).*no space left on device/i, () => [MORE_NAMESPACES]],
  [/no space left on device/i, () => ["Free space in the folder TMPDIR (default /tmp)."]],
  [
    /read-only file system|mkdtemp|permission denied, mkdir/i,
    () => [
      "The server keeps scratch files in TMPDIR (default /tmp), as root also in /run/agent-vm: make them writable. " +
        "In a container with a read-only root, mount a tmpfs there.",
    ],
  ],
  [
    /Resource temporarily unavailable|EAGAIN|Cannot fork/i,
    () => [
      "The server has too few processes: raise `ulimit -u`, TasksMax of a unit, --pids-limit of a container, or " +
        "podPidsLimit in Kubernetes.",
    ],
  ],
  [/Cannot allocate memory|ENOMEM/i, () => ["Give the server more memory."]],
  [/EMFILE|too many open files/i, () => ["Raise `ulimit -n` of the server."]],
  [/Permission denied|Operation not permitted|EPERM|EACCES|error (1|13)\b/, refusals],
  [/Function not implemented|ENOSYS|error 38\b/, refusals],
  [/no answer|abort|timeout/i, () => [TOO_SLOW]],
];

/** @returns the steps for an error of a boot. A cause that is not known is a fault to report. */
export function trialRemedies(message: string): string[] {
  const cause = CAUSES.find(([pattern]) => pattern.test(message));
  return cause?.[1](message) ?? ["The cause is unknown: report it with this table, see CONTRIBUTING.md."];
}
