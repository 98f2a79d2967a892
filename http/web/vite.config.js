// Two pages, each a script and a style sheet of a fixed name: the binary serves them by these names (http/web/web_pages.cpp).
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { defineConfig } from 'vite';

/** Swagger UI as it is published; its source maps stay out. */
const swagger = {
  name: 'swagger-ui',
  writeBundle() {
    const from = 'node_modules/swagger-ui-dist/';
    const bundle = readFileSync(`${from}swagger-ui-bundle.js`, 'utf8');
    writeFileSync('dist/swagger-ui.js', bundle.replace(/^\/\/# sourceMappingURL=.*$/m, ''));
    const style = readFileSync(`${from}swagger-ui.css`, 'utf8');
    writeFileSync('dist/swagger-ui.css', style.replace(/\/\*# sourceMappingURL=.*?\*\//, ''));
  },
};

export default defineConfig({
  plugins: [swagger],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    modulePreload: false,
    target: 'es2022',
    reportCompressedSize: false,
    rollupOptions: {
      input: { app: 'src/app.jsx', docs: 'src/docs.js' },
      output: { entryFileNames: '[name].js', assetFileNames: '[name][extname]' },
    },
  },
});
