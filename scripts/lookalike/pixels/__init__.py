"""From an image file to an array in a store: decode and display (`display`), find and place the breast (`geometry`), find foreign bodies
and burned-in text (`detect`), keep every level of detail (`store`), and all of it for one scatter part (`prepare`)."""
