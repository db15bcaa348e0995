/** A directory that exists while the suite runs. `save` writes a file into it and returns its path. */
export declare function useTemporaryDirectory(): {
  path(name: string): string;
  save(name: string, bytes: Uint8Array | string): Promise<string>;
};
//# sourceMappingURL=temporary-directory.d.ts.map
