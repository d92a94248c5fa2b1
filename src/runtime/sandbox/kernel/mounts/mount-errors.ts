import { AgentVmError } from "../../../../api/errors.ts";
import type { MountRequest, MountSource } from "../../mounts.ts";
import { codeOfErrno, posixError } from "../../posix.ts";
import type { MountFailure } from "./run-mounter.ts";

/** Why a step of a mount fails on a host that lacks something. */
const LACKS: Readonly<Record<string, string>> = {
  namespace: "the server may not enter the VM's mounts",
  clone: "the kernel does not let the server clone the folder's mount (open_tree, Linux 5.2)",
  flags: "the kernel cannot set flags of mounts (mount_setattr, Linux 5.12)",
  map: "the server may not make a map of users",
  idmap:
    "the file system of the folder takes no map of users (idmapped mounts), so the VM's user cannot write there",
  attach: "the kernel does not let the server attach the mount",
  tmpfs: "the kernel makes no tmpfs here",
  overlay:
    "the kernel makes no overlay of the folder (Linux 6.6 or newer; the folder must not lie on an overlay itself)",
};

/** Names a folder for an error. The server's own folder is not named. */
function placeOf(source: MountSource): string {
  if (!("host" in source)) return "";
  const { folder, name } = source.host;
  return source.kind === "volume" ? `volume ${name}` : `${folder}/${name}`.replace(/\/$/, "");
}

/** Returns the error of a mount that failed. */
export function mountError({ step, errno }: MountFailure, { path, source }: MountRequest): AgentVmError {
  const code = codeOfErrno(errno);
  const where = placeOf(source);
  if (step === "folder") return posixError(code, { syscall: "mount", path: where });
  if (step === "target") return posixError(code, { syscall: "mount", path });
  if (step === "owner") {
    return new AgentVmError(
      "mount_forbidden",
      `${where} belongs to root and other users of the host can reach it: a program of the VM could leave a set-user-ID program of root there`,
      {
        hint: "Give the folder to another user (chown), close it to others (chmod 700), or mount it read-only.",
      },
    );
  }
  const why = LACKS[step] ?? "the kernel refuses it";
  return new AgentVmError("mount_unavailable", `Cannot mount ${path}: ${why} (${code})`, {
    path,
    step,
    code,
  });
}
