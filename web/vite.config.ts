import { defineConfig } from 'vite'

const server = 'http://127.0.0.1:1234'

export default defineConfig({
  // The server mounts the page anywhere: every address in it is relative to <base>.
  base: './',
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    sourcemap: false,
    // The licences of the libraries ask for their text to go along.
    license: { fileName: 'assets/licences.md' },
    rolldownOptions: {
      output: {
        codeSplitting: {
          // Libraries change seldom. In a file of their own they stay cached, and a change of the page
          // adds only its own few kilobytes to the repository.
          groups: [{ name: 'libraries', test: /node_modules\/(?!(preact|@preact)\/)/ }],
        },
      },
    },
  },
  server: {
    proxy: {
      '/ws': { target: server, ws: true },
      '/api': { target: server },
      '/readyz': { target: server },
    },
  },
})
