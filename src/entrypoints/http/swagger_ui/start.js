SwaggerUIBundle({
  dom_id: "#documentation",
  url: "/schema/openapi.json",
  deepLinking: true,
  docExpansion: "list",
  validatorUrl: null,
});
