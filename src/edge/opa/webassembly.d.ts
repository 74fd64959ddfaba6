/** What we use of the WebAssembly JavaScript interface; it comes with the DOM's types otherwise, of which nothing else is here. */
declare namespace WebAssembly {
  interface Memory {
    readonly buffer: ArrayBuffer;
  }
  interface Global<T extends string = string> {
    readonly type?: T;
    value: number;
  }
  class Module {
    private constructor();
    static exports(module: Module): { readonly name: string }[];
  }
  interface Instance {
    readonly exports: Readonly<Record<string, unknown>>;
  }
  interface WebAssemblyInstantiatedSource {
    readonly instance: Instance;
    readonly module: Module;
  }
  interface MemoryDescriptor {
    initial: number;
    maximum?: number;
  }
  class CompileError extends Error {}
  function compile(octets: BufferSource): Promise<Module>;
}
type BufferSource = ArrayBufferView<ArrayBuffer> | ArrayBuffer;
