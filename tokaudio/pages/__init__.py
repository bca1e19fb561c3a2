"""What all pages have in common: templates, charts as coordinates, how figures are written. No page is here itself."""
