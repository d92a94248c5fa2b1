import { VM_HOME, VM_USER } from "./vm-layout.ts";

/** Path of the file that describes the VM to agents in it. */
export const INSTRUCTIONS_PATH = "/etc/agentos/instructions.md";

export const INSTRUCTIONS = `# This machine

You are the user ${VM_USER} on your own Linux machine. Your changes stay on this machine.

- Work in /workspace. Your home is ${VM_HOME}. Both are kept; /tmp and /run are not.
- You cannot become root. /usr belongs to the host and is read-only: use the programs that are there. Install other
  programs below your home.
- Servers that you start listen on 127.0.0.1. The network outside, if you have access to it, is behind the proxy in
  HTTP_PROXY and HTTPS_PROXY.
`;
