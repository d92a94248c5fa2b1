import { existsSync } from "node:fs";
import { hasCapability } from "../../own-uids.ts";
import { readProc, statusField } from "../procfs/procfs.ts";

const CAP_SETFCAP = 31;

export const MORE_NAMESPACES =
  "On the host, and in a container also there: sysctl -w user.max_user_namespaces=15000";

export const TOO_SLOW = "The host is too slow or too busy: run the doctor again when it is idle.";

/** Each VM needs two user namespaces. A switch of the kernel below this count leaves little room. */
export const FEW_NAMESPACES = 1024;

/** @returns how many user namespaces the kernel lets this user have; `undefined` if it does not say */
export function userNamespaceLimit(): number | undefined {
  const text = readProc("/proc/sys/user/max_user_namespaces");
  return text === undefined ? undefined : Number(text);
}

/**
 * Finds the reasons why the kernel refuses namespaces or mounts. Several may hold at once: each default of a container
 * refuses by itself.
 *
 * @param output error of the program that was refused
 * @returns a step for each reason
 */
export function refusals(output: string): string[] {
  if (/^no answer/.test(output)) return [TOO_SLOW];
  const fixes: string[] = [];
  if (!existsSync("/proc/self/ns/user")) fixes.push("Use a kernel with CONFIG_USER_NS.");
  if (/No space left on device/.test(output)) return [...fixes, MORE_NAMESPACES];
  if (readProc("/proc/sys/kernel/unprivileged_userns_clone")?.trim() === "0")
    fixes.push("sysctl -w kernel.unprivileged_userns_clone=1");
  if (process.getuid?.() === 0 && !hasCapability(CAP_SETFCAP)) {
    fixes.push(
      "Root without CAP_SETFCAP cannot make user namespaces: run the server as an ordinary user (--user 1000, " +
        "Kubernetes: runAsUser), or add that capability.",
    );
  }
  if (isChroot())
    fixes.push("The kernel refuses user namespaces in a chroot: start the server in a container instead.");
  return [...fixes, ...securityModules(), ...(fixes.length === 0 ? [lastResort()] : [])];
}

/** Steps for the security modules and the filter that are in force for this process. */
function securityModules(): string[] {
  const fixes: string[] = [];
  if (readProc("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")?.trim() === "1") {
    fixes.push(
      "AppArmor restricts user namespaces: load the profile deploy/apparmor/agent-vm, or " +
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    );
  }
  const label = (readProc("/proc/self/attr/current") ?? "").replace(/\0/g, "").trim();
  if (/^[^:]+ \(enforce\)$/.test(label)) {
    fixes.push(
      `The AppArmor profile ${label} confines this server: start it under deploy/apparmor/agent-vm ` +
        "(--security-opt apparmor=agent-vm, Kubernetes: appArmorProfile).",
    );
  } else if (label.includes(":")) {
    fixes.push(
      `SELinux confines this server as ${label}: if the log of the audit shows denials, use --security-opt label=disable.`,
    );
  }
  if (isFiltered()) {
    fixes.push(
      "A seccomp filter may refuse: start the container with the profile deploy/seccomp.json " +
        "(--security-opt seccomp=deploy/seccomp.json, Kubernetes: seccompProfile).",
    );
  }
  return fixes;
}

function lastResort(): string {
  return "Let this user make user namespaces and mount in them. The kernel's log (dmesg) may say what refuses.";
}

function isFiltered(): boolean {
  return statusField(readProc("/proc/self/status") ?? "", "Seccomp") === "2";
}

/** In a chroot the root of this process is usually not a mount. */
function isChroot(): boolean {
  const mounts = readProc("/proc/self/mountinfo");
  return mounts !== undefined && !/^\S+ \S+ \S+ \S+ \/ /m.test(mounts);
}
