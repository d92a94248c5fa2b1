import type { Socket as DatagramSocket } from "node:dgram";
import type { Server, Socket } from "node:net";
import type { VmPort } from "../../api/methods/network.ts";
import type { HostCall } from "./host-call.ts";

export interface ConnectOptions {
  /** IP version. @default 4, then 6 if no process listens on the IPv4 port */
  family?: 4 | 6;
  signal?: AbortSignal;
}

/** IPv4 addresses of 127.0.0.0/8 with a port, which are outside a VM although they are loopback addresses. */
export interface LoopbackPlace {
  address: string;
  /** Length of the address's prefix. */
  bits: number;
  port: number;
}

/** Places and ports of a policy that the set-up of a VM's network depends on. */
export interface Reach {
  places: readonly LoopbackPlace[];
  /** TCP ports that rules name, for a host that cannot lead all ports. */
  ports: readonly number[];
}

/** The server's end of a VM's connections and DNS questions. */
export interface Interception {
  /** Sockets at which questions arrive. */
  questions: readonly DatagramSocket[];
  /** `true` if connections to IPv6 addresses arrive too. */
  hasIpv6: boolean;
  /** `false` if only connections to the ports of the reach arrive. */
  leadsAllPorts: boolean;
  /** Replaces the reach. 127.0.0.1 always stays inside. */
  lead(reach: Reach): Promise<void>;
  /** Closes the sockets. The VM's end closes them too. */
  close(): void;
}

/** The server's access to the VM's network, which has only a loopback interface. */
export interface SandboxNetwork {
  /**
   * Connects to a port of the VM's loopback. The caller closes the connection.
   *
   * @throws AgentVmError with the kernel's code, such as `ECONNREFUSED`, also for a port at which the server itself listens
   */
  connect(port: number, options?: ConnectOptions): Promise<Socket>;
  /**
   * Connects to a Unix socket in the VM's own files. The caller closes the connection.
   *
   * @throws AgentVmError with the kernel's code, such as `ENOENT`; `ECONNREFUSED` for a file that is not a socket of the VM
   */
  connectAt(path: string): Promise<Socket>;
  /** Listens on a port of 127.0.0.1 in the VM, or on a free port if it is taken. The connections arrive in the server. */
  listen(port: number): Promise<Server>;
  /**
   * Takes the datagrams that programs send to a port of 127.0.0.1 in the VM. The signal closes the socket, and so does the VM's end.
   *
   * @throws AgentVmError if the VM cannot be reached, another Error if a program has the port
   */
  takeDatagrams(port: number, signal: AbortSignal): Promise<DatagramSocket>;
  /**
   * Takes the calls of the programs that `Provision.callers` names. Only programs of this VM can call here.
   *
   * @returns a function that ends all calls and takes no more
   */
  acceptCalls(onCall: (call: HostCall) => void): Promise<() => void>;
  /** Lists the sockets that listen in the VM, without those of `listen`. */
  listening(): Promise<VmPort[]>;
  /**
   * Makes TCP connections to addresses outside 127.0.0.0/8 and ::1, and DNS questions, arrive at the server.
   * Other packets to such addresses fail. A host without nf_tables leads only the ports of the reach, the
   * resolver, and places of one address. To be called once.
   *
   * @param onConnection takes each connection, which may be half-open. Its `localAddress` and `localPort` are what the program wanted
   * @throws Error if the host's kernel or programs cannot do it; the VM's network is then as before
   */
  intercept(port: number, reach: Reach, onConnection: (socket: Socket) => void): Promise<Interception>;
  /** Finds the process in the VM at the other end of a connection to `listen` or `intercept`. @returns its pid, if it is found */
  ownerOf(connection: Socket): Promise<number | undefined>;
}
