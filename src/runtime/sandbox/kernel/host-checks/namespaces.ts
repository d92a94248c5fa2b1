import { hasOwnUids } from "../../own-uids.ts";
import { type Check, required, run, wanted } from "./check.ts";
import { FEW_NAMESPACES, MORE_NAMESPACES, refusals, userNamespaceLimit } from "./remedies.ts";

const NEW_USER = ["--user", "--map-root-user"];

/** A root server needs user namespaces too: they take every right on the host from a VM's processes. */
export function checkUserNamespaces(): Check {
  const name = "user namespaces";
  // A VM of an ordinary user's server is in two of them, one in the other.
  const outer = hasOwnUids() ? [] : ["unshare", ...NEW_USER, "--"];
  const [program = "", ...args] = [...outer, "unshare", ...NEW_USER, "--mount", "true"];
  const { ok, output } = run(program, args);
  if (!ok) return required({ name, ok: false, detail: output, fixes: refusals(output) });
  const limit = userNamespaceLimit();
  const room = limit === undefined || limit >= FEW_NAMESPACES;
  const detail = room ? "allowed" : `allowed, ${limit} at most: a VM takes up to two`;
  return wanted({ name, isThere: room, detail, fixes: [MORE_NAMESPACES] });
}

/**
 * If a container runtime covers parts of /proc, the kernel refuses to mount a new procfs in a user namespace. Real root
 * may mount a whole one first, as it does for each VM.
 */
export function checkProcMount(): Check {
  const ownProc = ["--pid", "--fork", "--mount-proc"];
  const first = hasOwnUids() ? ["--mount", ...ownProc, "--", "unshare"] : [];
  const { ok, output } = run("unshare", [...first, ...NEW_USER, ...ownProc, "true"]);
  return required({
    name: "own procfs",
    ok,
    detail: ok ? "can be mounted" : output,
    fixes: [
      "Parts of this container's /proc are masked: start it with --security-opt systempaths=unconfined " +
        "(Podman: unmask=ALL, Kubernetes: procMount: Unmasked with hostUsers: false).",
      ...(/Permission denied/.test(output) ? refusals(output) : []),
    ],
  });
}
