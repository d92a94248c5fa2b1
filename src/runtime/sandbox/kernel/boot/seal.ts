import { quote } from "../../posix.ts";
import { helperCommand, helperSource } from "../helpers/programs.ts";
import type { Tools } from "../tools.ts";

/**
 * Shell lines that make all mounts of the host in a VM read-only, without set-user-ID programs and devices. They run
 * inside the VM's mount namespace at each boot, because the host may mount a file system below a shared folder at any
 * time. Such a mount is rare: the lines start a program only if they find an unsealed mount.
 *
 * mount_setattr(2), since Linux 5.12, reaches every mount below a folder, also a mount that another mount hides. On an
 * older kernel, mount(8) changes the mounts one by one.
 *
 * @param targets paths of the host's mounts in the VM
 */
export function sealLines(targets: readonly string[], tools: Pick<Tools, "perl" | "mount">): string[] {
  return [
    // Calls a function for each unsealed mount. In /proc/self/mountinfo a blank in a path is \040.
    "for_unsealed() {",
    "while read -r _ _ _ _ path flags _; do",
    "case $path in / | /dev/* | /proc) continue ;; esac",
    "case $flags in ro,nosuid,nodev*) continue ;; esac",
    // The dot keeps a newline at the end of a path.
    `path=$(printf '%b.' "$path") path=\${path%.}`,
    "$1",
    "done < /proc/self/mountinfo",
    "}",
    "found() { unsealed=$path; }",
    "remount() {",
    // A user namespace may not take noexec off a mount.
    "case ,$flags, in *,noexec,*) noexec=,noexec ;; *) noexec= ;; esac",
    `${tools.mount} -n -o "remount,bind,ro,nosuid,nodev$noexec" "$path" && return`,
    // Another mount hides the path.
    '[ -e "$path" ] || return 0',
    'echo "The mount $path of the host cannot be made read-only" >&2',
    "exit 1",
    "}",
    "unsealed= && for_unsealed found",
    'if [ -n "$unsealed" ]; then',
    helperCommand(tools.perl, helperSource("seal"), targets).map(quote).join(" "),
    "for_unsealed remount",
    "fi",
  ];
}
